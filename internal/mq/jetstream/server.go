package jetstream

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"mqgateway/internal/secret"
)

const (
	// headroom is what properties and headers may take beside a body.
	headroom = 256 << 10
	// leastPayload is the limit that NATS has by default.
	leastPayload = 1 << 20
	// mostPayload is what the file storage can hold as one message, with its
	// subject and its own marks (32 MiB in all).
	mostPayload = 32<<20 - 4<<10
	// startTimeout bounds the start, which reads what the directory holds.
	startTimeout = 5 * time.Minute
	// startPoll is how often it is looked whether it has failed.
	startPoll = 200 * time.Millisecond
)

// Server is the embedded broker. It has its directory to itself.
type Server struct {
	nats    *server.Server
	token   secret.String
	listens bool
	unlock  func() error
	close   func() error
}

// StartServer starts the embedded broker, and returns when messages can be sent.
// maxMessage is the largest body that it has to take, in bytes. The directory is
// made when it is missing, and locked: that another process has it is an error.
func StartServer(cfg EmbeddedConfig, maxMessage int64) (*Server, error) {
	directory := cmp.Or(cfg.Directory, defaultDirectory)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the embedded broker (mq.embedded.directory): %w", err)
	}
	unlock, err := lock(directory)
	if err != nil {
		return nil, err
	}
	s, err := startServer(cfg, directory, maxMessage)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded broker in %q: %w", directory, err), unlock())
	}
	s.unlock = unlock
	s.close = sync.OnceValue(s.shutdown)
	return s, nil
}

func startServer(cfg EmbeddedConfig, directory string, maxMessage int64) (*Server, error) {
	opts, err := serverOptions(cfg, directory, maxMessage)
	if err != nil {
		return nil, err
	}
	s := &Server{listens: !opts.DontListen}
	if s.listens {
		if s.token, err = token(cfg.Token, directory); err != nil {
			return nil, err
		}
		opts.Authorization = s.token.Reveal()
	}
	if s.nats, err = server.NewServer(opts); err != nil {
		return nil, err
	}
	var problem complaint
	s.nats.SetLoggerV2(&problem, false, false, false)
	s.nats.Start()
	if err := s.ready(&problem); err != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		return nil, err
	}
	return s, nil
}

// ready waits until messages can be sent, or the server gave up.
func (s *Server) ready(problem *complaint) error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		if text := problem.fatal.Load(); text != nil {
			return errors.New(*text)
		}
		if s.nats.ReadyForConnections(startPoll) && s.nats.JetStreamEnabled() {
			return nil
		}
	}
	return fmt.Errorf("it was not ready within %v", startTimeout)
}

// serverOptions are those of a server that no one but us and, when it listens,
// its clients can reach.
func serverOptions(cfg EmbeddedConfig, directory string, maxMessage int64) (*server.Options, error) {
	interval, err := parseSync(cfg.Sync)
	if err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	host, port, err := parseListen(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if maxMessage > mostPayload-headroom {
		return nil, fmt.Errorf("messages of %d bytes can't be stored: at most %d bytes are possible, lower mq.maxMsgLength",
			maxMessage, mostPayload-headroom)
	}
	if host != "" && port == 0 {
		port = server.RANDOM_PORT
	}
	return &server.Options{
		ServerName:             "embedded",
		DontListen:             host == "",
		Host:                   host,
		Port:                   port,
		JetStream:              true,
		StoreDir:               filepath.Clean(directory),
		SyncAlways:             interval == 0,
		SyncInterval:           interval,
		MaxPayload:             int32(max(leastPayload, maxMessage+headroom)),
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
	}, nil
}

// Addr is the address that other programs reach the broker at; empty when it
// does not listen.
func (s *Server) Addr() string {
	if !s.listens {
		return ""
	}
	return s.nats.Addr().String()
}

// Token is what other programs have to show; empty when the broker does not listen.
func (s *Server) Token() secret.String { return s.token }

// Open makes the broker for the embedded server; it takes no addresses, and
// connects within the process.
func (s *Server) Open(cfg Config) *Broker {
	opts := clientOptions(cfg)
	opts.InProcessServer = s.nats
	opts.Token = s.token.Reveal()
	return open(cfg, opts)
}

// Close stops the broker, waits until all is written, and unlocks the
// directory. Its connections are lost. Calling it twice is safe.
func (s *Server) Close() error { return s.close() }

func (s *Server) shutdown() error {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	return s.unlock()
}

// complaint is a logger that only remembers why the server gave up.
type complaint struct{ fatal atomic.Pointer[string] }

var _ server.Logger = (*complaint)(nil)

func (c *complaint) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.fatal.CompareAndSwap(nil, &text)
}
func (*complaint) Errorf(string, ...any)  {}
func (*complaint) Noticef(string, ...any) {}
func (*complaint) Warnf(string, ...any)   {}
func (*complaint) Debugf(string, ...any)  {}
func (*complaint) Tracef(string, ...any)  {}
