# SPDX-License-Identifier: BSD-2-Clause
# Inside the guest: asks for suspend to RAM, which has to end at once, twice.

for i in 1 2; do
	grep -q mem /sys/power/state || exit 10
	echo mem > /sys/power/state || exit 11
	echo "awake $i"
done
exit 0
