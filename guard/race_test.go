//go:build race

package guard_test

// stride is how many points of a matrix lie between two that are tried: the race detector makes each ten times slower.
const stride = 5
