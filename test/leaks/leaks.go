// Package leaks finds goroutines that tests have left.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package that starts goroutines, and holds that none of them
// is left. It returns the code for os.Exit:
//
//	func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// patience is how long goroutines may take to end. Those of libraries end a moment
// after what they belong to; goleak alone waits less than half a second.
const patience = time.Minute

// Find returns an error that lists the goroutines which do not end.
func Find() error {
	err := goleak.Find()
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		err = goleak.Find()
	}
	return err
}
