package rabbitmq

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	connectTimeout = 5 * time.Second
	// nextAddressAfter is how long one address may take before the next one is tried
	// beside it. It is longer than a broker under load takes to answer, and short
	// enough that several addresses that hang fit into a [Config.ConfirmTimeout].
	nextAddressAfter = time.Second
	// writeTimeout is as long as silence is borne in the other direction: one and
	// a half heartbeats of the default length.
	writeTimeout = 15 * time.Second
	// frameSize is the broker's own default, which the client library would not
	// ask for by itself.
	frameSize = 128 << 10
)

// keepAlive finds a dead peer of a connection that is idle.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// dial tries each address once, in random order, and returns the first session. The
// next address is tried when the last one has failed, or has not answered for a while.
func (b *Broker) dial(ctx context.Context, addresses []address, purpose string) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addresses = slices.Clone(addresses)
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	tries := make(chan attemptAt)
	var failed error
	for pending := 0; pending > 0 || len(addresses) > 0; {
		var slow <-chan time.Time
		if len(addresses) > 0 {
			a := addresses[0]
			b.tasks.group.Go(func() { b.try(ctx, a, purpose, tries) })
			addresses, pending = addresses[1:], pending+1
			slow = time.After(nextAddressAfter)
		}
		select {
		case t := <-tries:
			if t.err == nil {
				return t.session, nil
			}
			failed, pending = joined(failed, t.err), pending-1
		case <-slow:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, failed
}

// attemptAt is what came of trying an address.
type attemptAt struct {
	session *session
	err     error
}

// try connects to an address. A session that nobody takes, since another one was
// faster, is ended.
func (b *Broker) try(ctx context.Context, a address, purpose string, tries chan<- attemptAt) {
	s, err := b.connect(ctx, a, purpose)
	if err != nil {
		err = fmt.Errorf("connecting to %s: %w", a, err)
	}
	select {
	case tries <- attemptAt{s, err}:
	case <-ctx.Done():
		if err == nil {
			s.socket.kill()
		}
	}
}

// joined puts two errors, of which the first may be nil, on one line.
func joined(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}

// connect opens one connection, with a network connection of ours under it.
func (b *Broker) connect(ctx context.Context, a address, purpose string) (*session, error) {
	conn, raw, err := b.dialNetwork(ctx, a)
	if err != nil {
		return nil, err
	}
	socket := newSocket(conn, raw, writeTimeout)
	b.tasks.group.Go(socket.write)
	_ = socket.SetDeadline(time.Now().Add(b.handshakeTimeout)) // the library lifts it
	stop := context.AfterFunc(ctx, socket.kill)
	client, err := amqp.Open(socket, b.clientConfig(a, purpose))
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		socket.kill()
		return nil, err
	}
	return newSession(b, client, socket, a), nil
}

// dialNetwork connects, with TLS where the address asks for it; raw is the
// connection below TLS.
func (b *Broker) dialNetwork(ctx context.Context, a address) (conn, raw net.Conn, err error) {
	dialer := net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keepAlive, Control: limitUnacknowledged(writeTimeout)}
	raw, err = dialer.DialContext(ctx, "tcp", a.String())
	if err != nil || !a.tls {
		return raw, raw, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.handshakeTimeout)
	defer cancel()
	secure := tls.Client(raw, &tls.Config{ServerName: a.host, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return secure, raw, nil
}

// clientConfig is made anew for each connection: the library writes into it.
func (b *Broker) clientConfig(a address, purpose string) amqp.Config {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(cmp.Or(a.name, b.instance) + " " + purpose)
	return amqp.Config{
		SASL:       []amqp.Authentication{&amqp.PlainAuth{Username: a.username, Password: a.password}},
		Vhost:      a.vhost,
		FrameSize:  frameSize,
		Heartbeat:  a.heartbeat,
		Properties: properties,
		Locale:     "en_US",
	}
}
