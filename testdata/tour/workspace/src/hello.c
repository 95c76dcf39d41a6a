#include <stdio.h>

int main(void) {
    puts("hello from the harbour");
    return 0;
}
