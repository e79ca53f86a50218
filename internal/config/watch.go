package config

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"mqgateway/internal/config/tree"
)

// watchPeriod is the time between two looks at the files.
const watchPeriod = time.Second

// WatchOptions say what a watcher does beside looking.
type WatchOptions struct {
	// Load loads the whole configuration anew.
	Load func() (*Loaded, error)
	// DefaultFiles makes the files of the default list count when they appear.
	DefaultFiles bool
	// Now asks for loading at once, whether files have changed or not; nil never asks.
	Now <-chan os.Signal
	// ReadFile reads files; it has to be that of Load. Default: from the disk.
	ReadFile func(name string) ([]byte, error)
}

// Watcher loads a configuration again when one of its files has changed, those of
// ${file:} included. It compares what is in them, so that it does not matter how they
// are changed: written in place, replaced, or behind a link that is swapped. Files that
// still change are left alone until they have been the same for a second.
type Watcher struct {
	options WatchOptions
	// loaded are the files as they were loaded, pending as they were seen since, if
	// they were not the same.
	loaded, pending fingerprints
	// torn tells that files changed while they were loaded, so that it has to be done
	// again.
	torn bool
}

// NewWatcher makes a watcher of the files that first was loaded from, none of which may
// be a [Loaded.Pipe].
func NewWatcher(first *Loaded, o WatchOptions) *Watcher {
	if o.ReadFile == nil {
		o.ReadFile = tree.ReadFile
	}
	w := &Watcher{options: o}
	w.keep(first)
	return w
}

// Run looks at the files until ctx ends. It calls changed with ctx, and waits for it, with
// what was loaded, or with the error of loading; what can't be loaded is told once.
func (w *Watcher) Run(ctx context.Context, changed func(context.Context, *Loaded, error)) error {
	timer := time.NewTimer(watchPeriod)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.options.Now:
			w.load(ctx, changed)
		case <-timer.C:
			if w.settled() {
				w.load(ctx, changed)
			}
		}
		timer.Reset(watchPeriod)
	}
}

// settled tells that the files have changed, and are as they were a period ago.
func (w *Watcher) settled() bool {
	seen, was := w.loaded.again(w.options.ReadFile), w.pending
	if !w.torn && maps.Equal(seen, w.loaded) {
		w.pending = nil
		return false
	}
	w.pending = seen
	return maps.Equal(seen, was)
}

// load loads what the files hold. When they have changed meanwhile, what was read may
// be halves of two configurations, and is left for the next look.
func (w *Watcher) load(ctx context.Context, changed func(context.Context, *Loaded, error)) {
	loaded, err := w.options.Load()
	w.keep(loaded)
	w.pending = w.loaded.again(w.options.ReadFile)
	if w.torn = !maps.Equal(w.pending, w.loaded); !w.torn {
		changed(ctx, loaded, err)
	}
}

// keep notes the files that were loaded. Where nothing was read at all, those that are
// known go on being watched.
func (w *Watcher) keep(loaded *Loaded) {
	if loaded == nil {
		w.loaded = w.loaded.again(w.options.ReadFile)
	} else {
		w.loaded = maps.Clone(loaded.read)
	}
	if !w.options.DefaultFiles {
		return
	}
	for _, file := range possibleFiles() {
		if _, known := w.loaded[file]; !known {
			w.loaded[file] = fingerprint{}
		}
	}
}

// Pipe is a file of the configuration that can't be read again, such as a shell's <(…);
// empty when there is none.
func (l *Loaded) Pipe() string {
	for _, name := range slices.Sorted(maps.Keys(l.read)) {
		info, err := os.Stat(name)
		if err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0 {
			return name
		}
	}
	return ""
}

// fingerprint is what a file holds, by hash; the zero fingerprint is a file that can't be read.
type fingerprint [sha256.Size]byte

// fingerprints are those of files, by name.
type fingerprints map[string]fingerprint

// again are the same files as they are now.
func (p fingerprints) again(readFile func(name string) ([]byte, error)) fingerprints {
	now := make(fingerprints, len(p))
	for name := range p {
		_, _ = now.noting(readFile)(name) // a file that can't be read has its fingerprint
	}
	return now
}

// noting is readFile that notes what it read. What was noted first stays, so that a
// file that changes between two readings looks changed.
func (p fingerprints) noting(readFile func(name string) ([]byte, error)) func(name string) ([]byte, error) {
	if readFile == nil {
		readFile = tree.ReadFile
	}
	return func(name string) ([]byte, error) {
		data, err := readFile(name)
		if _, known := p[name]; !known && err == nil {
			p[name] = sha256.Sum256(data)
		} else if !known {
			p[name] = fingerprint{}
		}
		return data, err
	}
}
