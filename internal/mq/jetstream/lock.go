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

// errLocked is what lockExclusively returns when somebody has the lock.
var errLocked = errors.New("locked")

// lock takes the directory for this process, and returns what gives it back. The
// operating system does that, too, when the process ends in any way.
func lock(directory string) (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(directory, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory of the embedded broker: %w", err)
	}
	switch err := lockExclusively(file); {
	case errors.Is(err, errLocked):
		return nil, errors.Join(fmt.Errorf("directory %q of the embedded broker is used by another process: stop that one, or give this one a directory of its own (mq.embedded.directory)",
			directory), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("locking the directory %q of the embedded broker: %w", directory, err), file.Close())
	}
	return file.Close, nil
}
