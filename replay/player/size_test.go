//go:build !race

package player

// tenMegabytes of one result.
const tenMegabytes = 10 << 20
