//go:build race

package main_test

// raceDetector tells that allocations can't be counted: the detector adds some,
// and pools forget at random under it.
const raceDetector = true
