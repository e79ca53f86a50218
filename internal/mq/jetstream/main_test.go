package jetstream_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test started, a broker that
// is going to be killed.
func TestMain(m *testing.M) {
	if directory := os.Getenv(victimDirectory); directory != "" {
		runVictim(directory)
		return
	}
	_ = flag.Set("test.parallel", "8") // they wait more than they compute
	code := m.Run()
	if code == 0 && !allEnded() {
		code = 1
	}
	os.Exit(code)
}

// allEnded waits until no goroutine is left: those of the server end a moment after it.
func allEnded() bool {
	err := goleak.Find()
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = goleak.Find() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return err == nil
}
