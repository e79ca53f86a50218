//go:build !race

package main_test

// raceDetector tells that allocations can't be counted.
const raceDetector = false
