//go:build !race

package guard_test

// stride is how many points of a matrix lie between two that are tried.
const stride = 1
