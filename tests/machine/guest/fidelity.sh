# SPDX-License-Identifier: BSD-2-Clause
# Inside the guest: everything that Linux sees of its machine, a section each.

dmesg >/tmp/dmesg # before the rest adds to it
insmod /lib/modules/"$(uname -r)"/kernel/arch/x86/kernel/msr.ko || exit 10

for file in cpuinfo iomem ioports; do
	echo "=== $file"
	cat /proc/$file
done
echo "=== pci"
for device in /sys/bus/pci/devices/*; do
	od -v -A x -t x1 "$device/config" | sed "s|^|${device##*/} |"
done
echo "=== cpuid"
machine-state cpuid
echo "=== msr"
machine-state msr || exit 11
echo "=== tables"
cd /sys/firmware || exit 12
find acpi/tables dmi/tables -type f | sort | xargs sha256sum
echo "=== dmesg"
cat /tmp/dmesg
echo "=== end"
