//go:build race

package guard_test

// raceDetector makes everything ten times slower.
const raceDetector = true
