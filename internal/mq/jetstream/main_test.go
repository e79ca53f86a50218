package jetstream_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test started, a broker that
// is going to be killed.
func TestMain(m *testing.M) {
	if directory := os.Getenv(victimDirectory); directory != "" {
		runVictim(directory)
		return
	}
	goleak.VerifyTestMain(m)
}
