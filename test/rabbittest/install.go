package rabbittest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// server starts RabbitMQ as whoever calls it; the rabbitmq-server on PATH would
// change to the user rabbitmq.
const server = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// install is where RabbitMQ is installed.
type install struct {
	// root is the folder to enter by chroot; empty for the system itself.
	root string
}

// inside is where the data is mounted below a root.
const inside = "/srv"

// findInstall finds the RabbitMQ that the environment asks for.
func findInstall() (install, error) {
	switch want := os.Getenv("RABBITMQ"); want {
	case "":
		return install{}, present(server, "make deps")
	case "4":
		root, err := rabbitmq4()
		if err != nil {
			return install{}, err
		}
		return install{root: root}, present(filepath.Join(root, server), "make deps RABBITMQ=4")
	default:
		return install{}, fmt.Errorf("RABBITMQ=%s: only 4 is known; leave it unset for the installed one", want)
	}
}

func present(path, remedy string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("RabbitMQ is not installed, run %q: %w", remedy, err)
	}
	return nil
}

// rabbitmq4 is the folder that tools/deps.sh makes.
func rabbitmq4() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("RABBITMQ=4 runs RabbitMQ by chroot, which needs root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder of RabbitMQ 4: %w", err)
	}
	return filepath.Join(cache, "mqgateway", "rabbitmq-4"), nil
}

// enter mounts data and the kernel's folders below the root and becomes the
// program. The mounts are seen by that process only and end with it.
const enter = `set -e
root=$1 data=$2
shift 2
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$data" "$root` + inside + `"
exec chroot "$root" "$@"`

// command makes the command for a program of the installation, for which dir
// is found at path(dir).
func (in install) command(dir, program string) *exec.Cmd {
	if in.root == "" {
		return exec.Command(program)
	}
	cmd := exec.Command("/bin/sh", "-c", enter, "enter", in.root, dir, program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

// path is how a program made by command sees dir.
func (in install) path(dir string) string {
	if in.root == "" {
		return dir
	}
	return inside
}
