// A guard as its user might write it: a hook, and nothing around the gateway. The tour shows
// that a hook alone can be switched off by what it guards against.
export default {
  id: "tripwire",
  name: "Tripwire",
  description: "Blocks commands that mention the payroll",
  register(api) {
    api.on("before_tool_call", (event) => {
      const text = JSON.stringify(event.params ?? {});
      return text.includes("payroll") ? { block: true, blockReason: "tripwire: payroll is off limits" } : undefined;
    });
  },
};
