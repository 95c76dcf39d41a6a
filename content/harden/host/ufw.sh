# Written by `seawall harden host ufw`: commands to read and run as root. The SSH port is opened
# before anything is closed.
{{allow}}
ufw default deny incoming
ufw default deny routed
ufw logging on
ufw --force enable
# Published container ports pass ufw by. Docker evaluates DOCKER-USER first:
iptables -C DOCKER-USER -p tcp -m conntrack --ctorigdstport {{gateway_port}} --ctdir ORIGINAL -j DROP 2>/dev/null || iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport {{gateway_port}} --ctdir ORIGINAL -j DROP
