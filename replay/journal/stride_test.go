//go:build !race

package journal

// strides say of how many tamperings of each session one is tried.
var strides = [3]int{1, 7, 7}
