package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/config"
)

// correct is a configuration that can be changed at one place.
func correct(sendQueue string) string {
	return "mq: {systemType: sp, workMode: async, connection: {sendQueue: " + sendQueue + ", connections: [{hostname: h, password: '${file:password}'}]}}\n"
}

// watched is a configuration in a folder, which is watched in fake time.
type watched struct {
	t   *testing.T
	dir string
	now chan os.Signal

	// slow is how long a change takes to be applied.
	slow time.Duration

	mu sync.Mutex // guards all below
	// heard are the send queues that were loaded, or "refused".
	heard []string
	// reading, when set, is called before a file is read.
	reading func(name string)
}

// watch runs script beside a watcher of application.yml and password in dir.
func watch(t *testing.T, dir string, script func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, dir: dir, now: make(chan os.Signal)}
		first, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		watcher := config.NewWatcher(first, config.WatchOptions{Load: w.load, Now: w.now, ReadFile: w.read})
		go func() {
			ended <- watcher.Run(ctx, func(_ context.Context, loaded *config.Loaded, err error) {
				time.Sleep(w.slow)
				w.mu.Lock()
				defer w.mu.Unlock()
				if _, ok := errors.AsType[config.Problems](err); ok {
					w.heard = append(w.heard, "refused")
					return
				}
				w.heard = append(w.heard, loaded.Config.MQ.Connection.SendQueue)
			})
		}()
		time.Sleep(500 * time.Millisecond) // between two looks
		script(w)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func (w *watched) load() (*config.Loaded, error) {
	return config.Load([]string{"application.yml"}, config.Options{ReadFile: w.read})
}

func (w *watched) read(name string) ([]byte, error) {
	w.mu.Lock()
	if w.reading != nil {
		w.reading(name)
	}
	w.mu.Unlock()
	return os.ReadFile(filepath.Join(w.dir, name))
}

// replace puts a file in the place of whatever has the name, as editors do.
func (w *watched) replace(name, text string) {
	w.t.Helper()
	w.write("new", text)
	at := filepath.Join(w.dir, name)
	if info, err := os.Lstat(at); err == nil && info.IsDir() {
		if err := os.Remove(at); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(w.dir, "new"), at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// after lets some looks pass and holds what was heard since the last time.
func (w *watched) after(looks int, want ...string) {
	w.t.Helper()
	time.Sleep(time.Duration(looks) * time.Second)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.heard, " "); got != strings.Join(want, " ") {
		w.t.Errorf("after %d more looks: heard %q, want %q", looks, got, strings.Join(want, " "))
	}
	w.heard = nil
}

// folder has a configuration that sends to A.
func folder(t *testing.T) string {
	t.Helper()
	w := watched{t: t, dir: t.TempDir()}
	w.write("application.yml", correct("A"))
	w.write("password", "secret")
	return w.dir
}

func TestWatcherWaitsUntilFilesAreSettled(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.after(3)
		w.write("application.yml", correct("B"))
		w.after(1)
		w.write("application.yml", correct("C"))
		w.after(1)
		w.after(1, "C")
		w.after(5)
	})
}

func TestWatcherTakesNoNoticeOfWhatIsTakenBack(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.write("application.yml", correct("B"))
		w.after(1)
		w.write("application.yml", correct("A"))
		w.after(1)
		w.write("application.yml", correct("B"))
		w.after(1)
		w.write("application.yml", correct("A"))
		w.after(5)
	})
}

func TestWatcherTellsWhatIsWrongOnce(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.write("application.yml", "mq: [")
		w.after(10, "refused")
		w.write("application.yml", "mq: {")
		w.after(10, "refused")
		w.write("application.yml", correct("B"))
		w.after(10, "B")
	})
}

// TestWatcherTellsOfEachDefectOnce: however a file is broken, that is told once, and so
// is its repair.
func TestWatcherTellsOfEachDefectOnce(t *testing.T) {
	file := func(w *watched) string { return filepath.Join(w.dir, "application.yml") }
	for _, tt := range []struct {
		name   string
		broken func(w *watched) error
	}{
		{"empty", func(w *watched) error { return os.Truncate(file(w), 0) }},
		{"half written", func(w *watched) error { return os.Truncate(file(w), 40) }},
		{"a folder", func(w *watched) error { return errors.Join(os.Remove(file(w)), os.Mkdir(file(w), 0o700)) }},
		{"a link to nothing", func(w *watched) error {
			return errors.Join(os.Remove(file(w)), os.Symlink("nothing", file(w)))
		}},
		{"a link to itself", func(w *watched) error {
			return errors.Join(os.Remove(file(w)), os.Symlink("application.yml", file(w)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			watch(t, folder(t), func(w *watched) {
				if err := tt.broken(w); err != nil {
					t.Fatal(err)
				}
				w.after(10, "refused")
				w.replace("application.yml", correct("B"))
				w.after(10, "B")
			})
		})
	}
}

// TestWatcherSeesChangesDuringAReload: the last of them is loaded when the reload is done.
func TestWatcherSeesChangesDuringAReload(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.slow = 10 * time.Second
		w.write("application.yml", correct("B"))
		w.after(5)
		for _, queue := range []string{"C", "D", "E"} {
			w.replace("application.yml", correct(queue))
			w.after(1)
		}
		w.after(30, "B", "E")
	})
}

func TestWatcherSeesFilesThatGoAndCome(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		for _, name := range []string{"application.yml", "password"} {
			if err := os.Rename(filepath.Join(w.dir, name), filepath.Join(w.dir, "aside")); err != nil {
				t.Fatal(err)
			}
			w.after(10, "refused")
			if err := os.Rename(filepath.Join(w.dir, "aside"), filepath.Join(w.dir, name)); err != nil {
				t.Fatal(err)
			}
			w.after(10, "A")
		}
	})
}

func TestWatcherSeesFilesOfPlaceholders(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.write("password", "another")
		w.after(5, "A")
		w.write("application.yml", strings.Replace(correct("B"), "file:password", "file:other", 1))
		w.after(5, "refused")
		w.write("other", "third")
		w.after(5, "B")
		w.write("password", "nobody reads it")
		w.after(5)
	})
}

// TestWatcherSeesSwappedLinks changes files as the kubelet does with those of a
// ConfigMap.
func TestWatcherSeesSwappedLinks(t *testing.T) {
	dir := t.TempDir()
	version := func(name, sendQueue string) {
		w := watched{t: t, dir: filepath.Join(dir, name)}
		if err := os.Mkdir(w.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w.write("application.yml", correct(sendQueue))
		w.write("password", "secret")
		link(t, name, filepath.Join(dir, "..data_tmp"))
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_01_01", "A")
	for _, name := range []string{"application.yml", "password"} {
		link(t, filepath.Join("..data", name), filepath.Join(dir, name))
	}
	watch(t, dir, func(w *watched) {
		w.after(3)
		version("..2026_01_02", "B")
		if err := os.RemoveAll(filepath.Join(dir, "..2026_01_01")); err != nil {
			t.Fatal(err)
		}
		w.after(5, "B")
	})
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherLoadsWhenAsked(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.now <- os.Interrupt
		w.after(0, "A")
		w.write("application.yml", correct("B"))
		w.now <- os.Interrupt
		w.after(0, "B")
		w.after(5)
	})
}

// TestWatcherIsNotFooledByAChangeWhileItLoads writes the second file when the first
// has been read.
func TestWatcherIsNotFooledByAChangeWhileItLoads(t *testing.T) {
	watch(t, folder(t), func(w *watched) {
		w.mu.Lock()
		reads := 0
		w.reading = func(name string) {
			if name != "password" {
				return
			}
			if reads++; reads == 3 { // two looks, then the load
				w.write("application.yml", correct("C"))
			}
		}
		w.mu.Unlock()
		w.write("application.yml", correct("B"))
		w.after(2)
		w.after(5, "C")
	})
}

// TestFilesOfTheDefaultListMayAppear loads those of the list that are there, as the
// gateway does when it is given none.
func TestFilesOfTheDefaultListMayAppear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const application, common = "/deployments/config/application.yml", "/deployments/config/common/common-config.yml"
		var files sync.Map
		files.Store(application, strings.Replace(correct("A"), ", password: '${file:password}'", "", 1))
		read := func(name string) ([]byte, error) {
			text, ok := files.Load(name)
			if !ok {
				return nil, os.ErrNotExist
			}
			return []byte(text.(string)), nil
		}
		load := func() (*config.Loaded, error) {
			var there []string
			for _, name := range []string{application, common} {
				if _, ok := files.Load(name); ok {
					there = append(there, name)
				}
			}
			return config.Load(there, config.Options{ReadFile: read})
		}
		first, err := load()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		levels, ended := make(chan string, 10), make(chan error)
		watcher := config.NewWatcher(first, config.WatchOptions{Load: load, DefaultFiles: true, ReadFile: read})
		go func() {
			ended <- watcher.Run(ctx, func(_ context.Context, loaded *config.Loaded, _ error) { levels <- loaded.Config.Logging.Level })
		}()
		time.Sleep(10 * time.Second)
		files.Store(common, "logging: {level: debug}")
		time.Sleep(10 * time.Second)
		files.Delete(common)
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
		close(levels)
		var got []string
		for level := range levels {
			got = append(got, level)
		}
		if strings.Join(got, " ") != "debug info" {
			t.Errorf("levels that were loaded = %v, want that of the file that appeared, and then the default again", got)
		}
	})
}

// TestPipesCannotBeReadAgain: what was read from one is gone.
func TestPipesCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	w := watched{t: t, dir: folder(t)}
	file, pipe := filepath.Join(w.dir, "application.yml"), filepath.Join(w.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(correct("A"), "file:password", "file:"+filepath.Join(w.dir, "password"))
	w.write("application.yml", text)
	go func() { _ = os.WriteFile(pipe, []byte(text), 0o600) }() // It ends when the pipe is read.
	for _, tt := range []struct{ file, want string }{{file, ""}, {pipe, pipe}} {
		loaded, err := config.Load([]string{tt.file}, config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.Pipe(); got != tt.want {
			t.Errorf("pipe of %s = %q, want %q", tt.file, got, tt.want)
		}
	}
}

func TestKeysFitBesideThoseThatWait(t *testing.T) {
	t.Parallel()
	load := func(receiveQueue, deadLetters, route string) *config.Loaded {
		loaded, err := config.Load([]string{"f.yml"}, config.Options{ReadFile: func(string) ([]byte, error) {
			return []byte("mq:\n  connection: {receiveQueue: " + receiveQueue + ", connections: [{hostname: h}]}\n  failure: {deadLetterQueue: " + deadLetters +
				"}\nrouting: {routeList: [{destinationExpression: \"'" + route + "'\"}]}\n"), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return loaded
	}
	running := load("IN", "DEAD", "a").Config
	next, err := load("OTHER", "DEAD", "b").Onto(running)
	if err != nil {
		t.Fatal(err)
	}
	if c := next.MQ.Connection.ReceiveQueue[0]; c != "IN" || next.Routing.RouteList[0].DestinationExpression != "'b'" {
		t.Errorf("merged configuration reads %s and routes by %s, want IN and 'b'", c, next.Routing.RouteList[0].DestinationExpression)
	}
	_, err = load("OTHER", "IN", "b").Onto(running)
	if _, ok := errors.AsType[config.Problems](err); !ok || !strings.Contains(err.Error(), "f.yml:2:") || !strings.Contains(err.Error(), "would come back for ever") {
		t.Errorf("error = %v, want the dead letters that go to the queue that is still read", err)
	}
}
