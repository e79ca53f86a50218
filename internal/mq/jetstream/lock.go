package jetstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockFile is locked as long as a process uses its directory. It stays behind,
// unlocked: removing it would let two processes lock two files of its name.
const lockFile = "lock"

// ErrLocked tells that another process has the directory of an embedded broker.
var ErrLocked = errors.New("used by another process: stop that one, or give this one a directory of its own (mq.embedded.directory)")

// lock takes the directory for this process, and returns what gives it back. The
// operating system does that, too, when the process ends in any way.
func lock(directory string) (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(directory, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory of the embedded broker (mq.embedded.directory): %w", err)
	}
	switch err := lockExclusively(file); {
	case errors.Is(err, ErrLocked):
		return nil, errors.Join(fmt.Errorf("directory %q of the embedded broker is %w", directory, err), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("locking the directory %q of the embedded broker: %w", directory, err), file.Close())
	}
	return file.Close, nil
}
