package rabbittest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"mqgateway/test/ports"
)

// home is what the nodes of one process have in common: a folder for their data
// and an Erlang name server (epmd) of their own.
type home struct {
	dir      string
	sweeper  *exec.Cmd
	lifeline io.Closer
	epmd     *child
	epmdPort int
	install  install
	nodes    int
}

// errNoMain reminds of what ends the nodes.
var errNoMain = errors.New("rabbittest: TestMain has to call rabbittest.Main, which ends the servers")

// openHome makes the home of this process. The caller holds process.mu.
func openHome() (*home, error) {
	if process.home != nil {
		return process.home, nil
	}
	if !process.running {
		return nil, errNoMain
	}
	in, err := findInstall()
	if err != nil {
		return nil, err
	}
	h := &home{install: in}
	if err := h.makeDir(); err != nil {
		return nil, err
	}
	if err := h.startEpmd(); err != nil {
		h.close()
		return nil, err
	}
	process.home = h
	return h, nil
}

// makeDir makes the folder, and a process that removes it when this one has
// closed the lifeline or is gone, even by a signal that can't be caught.
func (h *home) makeDir() error {
	var err error
	if h.dir, err = os.MkdirTemp("", "rabbittest-"); err != nil {
		return fmt.Errorf("making the folder of the RabbitMQ nodes: %w", err)
	}
	// A dying server may write for a moment longer.
	const script = `while read -r _; do :; done; for _ in 1 2 3 4 5; do rm -rf "$0" 2>/dev/null && exit; sleep 0.2; done`
	h.sweeper = exec.Command("/bin/sh", "-c", script, h.dir)
	h.sweeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if h.lifeline, err = h.sweeper.StdinPipe(); err != nil {
		return fmt.Errorf("connecting to the process that removes %q: %w", h.dir, err)
	}
	if err := h.sweeper.Start(); err != nil {
		return fmt.Errorf("starting the process that removes %q: %w", h.dir, err)
	}
	return nil
}

// startEpmd starts the name server in the foreground, so that it dies with us;
// a node would start one as a daemon.
func (h *home) startEpmd() error {
	h.epmdPort = ports.Free()
	cmd := h.install.command(h.dir, "/usr/bin/epmd")
	cmd.Env = append(os.Environ(), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+strconv.Itoa(h.epmdPort))
	var err error
	if h.epmd, err = startChild(cmd); err != nil {
		return fmt.Errorf("starting epmd: %w", err)
	}
	return awaitPort(h.epmd, h.epmdPort)
}

// nextDir makes the folder of one more node.
func (h *home) nextDir() (dir, name string, err error) {
	h.nodes++
	name = "node" + strconv.Itoa(h.nodes)
	dir = filepath.Join(h.dir, name)
	return dir, name, os.Mkdir(dir, 0o755)
}

func (h *home) close() {
	if h.epmd != nil {
		h.epmd.kill()
	}
	h.lifeline.Close()
	_ = h.sweeper.Wait()
}
