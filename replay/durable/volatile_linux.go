package durable

import "syscall"

// File systems that do not outlive a boot or a container. Source: statfs(2), include/uapi/linux/magic.h
var volatile = map[int64]string{
	0x01021994: "tmpfs, which is memory",
	0x858458f6: "ramfs, which is memory",
	0x794c7630: "overlayfs, a container's own layer",
}

// Volatile says what kind of storage holds dir, if it is one that does not outlive this boot or this container; "" if it is none that is known to.
func Volatile(dir string) string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return ""
	}
	return volatile[int64(st.Type)&0xffffffff]
}
