# SPDX-License-Identifier: BSD-2-Clause
# Inside the guest: the disk works by DMA through the kernel's driver, 64 MiB read, written and read again.

device=$(sed -n 's,^\(/dev/sd[a-z]\)1 / ext4 .*,\1,p' /proc/mounts)
echo "root: ${device:-unknown}"
[ -n "$device" ] || exit 10
modes=$(cat /sys/class/ata_device/*/dma_mode | tr "\n" " ")
echo "dma: $modes"
case $modes in
*DMA*) ;;
*) exit 11 ;;
esac

sha256sum -c /payload.sha256 || exit 13
cp /payload /copy && sync || exit 14
echo 3 >/proc/sys/vm/drop_caches
cmp /payload /copy || exit 15
dmesg | grep -iE 'ata[0-9.]+: (exception|error|failed|hard resetting)|I/O error' && exit 16

echo "cpus: $(nproc), of them with svm: $(grep -c '^flags.* svm' /proc/cpuinfo)"
exit 0
