# SPDX-License-Identifier: Apache-2.0
# Giving up ids and capabilities with Debian's setpriv, and what is left over exec.
caps() { grep -E 'Cap(Inh|Amb|Prm|Eff)' /proc/self/status; }
echo secret >/root/secret
chmod 600 /root/secret
setpriv --reuid 1000 --regid 1000 --clear-groups bash -c 'id -u; id -g; id -G; cat /root/secret' 2>&1
setpriv --reuid 1000 --regid 1000 --clear-groups grep -E 'Cap(Inh|Amb|Prm|Eff)' /proc/self/status
setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps +kill,+dac_override --ambient-caps +kill,+dac_override \
	bash -c 'id -u; grep -E "Cap(Inh|Amb|Prm|Eff)" /proc/self/status; cat /root/secret'
setpriv --inh-caps=-all --bounding-set=-all bash -c 'grep -E "Cap(Inh|Bnd|Prm|Eff)" /proc/self/status; id -u
	chown 5 /root/secret; kill -0 $$ && echo own; cat /root/secret' 2>&1
setpriv --no-new-privs --bounding-set=-chown,-fowner bash -c 'chown 5 /root/secret; chmod 644 /root/secret
	stat -c "%u %a" /root/secret; grep NoNew /proc/self/status' 2>&1
setpriv --reuid 1000 --regid 1000 --init-groups true 2>&1
setpriv --reuid 1000 --regid 1000 --keep-groups bash -c 'cat /root/secret; rm /root/secret' 2>&1
rm /root/secret
