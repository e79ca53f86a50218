package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
)

// nginx is a running nginx that dispatches calls by their authority.
type nginx struct {
	port string
	dir  string
}

// startNginx runs nginx with the configuration that users copy; addresses and
// other lines of it are replaced as old and new say, in pairs.
func startNginx(t *testing.T, replace ...string) *nginx {
	t.Helper()
	const program = "/usr/sbin/nginx"
	needs(t, program)
	n := &nginx{port: strconv.Itoa(ports.Free()), dir: t.TempDir()}
	config := n.configure(t, append(replace, "127.0.0.1:5460", "127.0.0.1:"+n.port)...)
	cmd := exec.Command(program, "-p", n.dir, "-c", config, "-g", "daemon off;")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // its workers end with it
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &complaints, &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("nginx: %s", complaints.String())
		}
	})
	gatewaytest.Eventually(t, func() error { return n.listens(t, ended) })
	return n
}

// configure writes the configuration and returns its path.
func (n *nginx) configure(t *testing.T, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(examples + "nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("nginx.conf has no %q", replace[i])
		}
	}
	path := filepath.Join(n.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listens complains until nginx takes connections.
func (n *nginx) listens(t *testing.T, ended <-chan struct{}) error {
	t.Helper()
	select {
	case <-ended:
		t.Fatal("nginx has ended")
	default:
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+n.port, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// access is one line of the access log: a call that has ended.
type access struct {
	connection, host, path, status, upstream string
}

// waitAccesses waits for n calls and returns all there are.
func (n *nginx) waitAccesses(t *testing.T, count int) []access {
	t.Helper()
	var all []access
	gatewaytest.Eventually(t, func() error {
		text, err := os.ReadFile(filepath.Join(n.dir, "access.log"))
		if err != nil {
			return err
		}
		all = nil
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 5 {
				all = append(all, access{f[0], f[1], f[2], f[3], f[4]})
			}
		}
		if len(all) < count {
			return fmt.Errorf("%d calls in nginx's log, want %d", len(all), count)
		}
		return nil
	})
	return all
}

// connections are those that the calls came by.
func connections(calls []access) map[string]bool {
	all := map[string]bool{}
	for _, c := range calls {
		all[c.connection] = true
	}
	return all
}
