//go:build race

package journal

// strides are longer where everything is slower.
var strides = [3]int{11, 97, 97}
