//go:build race

package player

// tenMegabytes are one under the race detector, where ten take half a minute and show nothing more.
const tenMegabytes = 1 << 20
