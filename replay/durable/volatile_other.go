//go:build !linux

package durable

// Volatile is known on Linux only.
func Volatile(string) string { return "" }
