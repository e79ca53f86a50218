package flow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/flow"
)

func TestAddressRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       flow.Address
		fails      bool
	}{
		{name: "queue", text: "ORDERS.IN", want: flow.Address{Key: "ORDERS.IN"}},
		{name: "queue with a slash", text: "a/b", want: flow.Address{Key: "a/b"}},
		{name: "exchange", text: "exchange:orders/new.#", want: flow.Address{Exchange: "orders", Key: "new.#"}},
		{name: "exchange without a key", text: "exchange:orders/", want: flow.Address{Exchange: "orders"}},
		{name: "key with a slash", text: "exchange:orders/a/b", want: flow.Address{Exchange: "orders", Key: "a/b"}},
		{name: "empty", text: "", fails: true},
		{name: "exchange without a slash", text: "exchange:orders", fails: true},
		{name: "exchange without a name", text: "exchange:/key", fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := flow.ParseAddress(tt.text)
			if (err != nil) != tt.fails || got != tt.want {
				t.Fatalf("ParseAddress(%q) = %+v, %v, want %+v, error: %v", tt.text, got, err, tt.want, tt.fails)
			}
			if err == nil && got.String() != tt.text {
				t.Errorf("String = %q, want %q", got, tt.text)
			}
		})
	}
}

func TestClassOfAnError(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		code  flow.Code
		class flow.Class
	}{
		{"600", flow.Errorf(flow.Internal, "x"), 600, flow.Permanent},
		{"601", flow.Errorf(flow.RouteNotFound, "x"), 601, flow.Permanent},
		{"602", flow.Errorf(flow.DestinationFailed, "x"), 602, flow.Transient},
		{"603", flow.Errorf(flow.BrokerFailed, "x"), 603, flow.Transient},
		{"604", flow.Errorf(flow.ValidationFailed, "x"), 604, flow.Permanent},
		{"605", flow.Errorf(flow.ValidatorFailed, "x"), 605, flow.Transient},
		{"606", flow.Errorf(flow.BadMessage, "x"), 606, flow.Permanent},
		{"607", flow.Errorf(flow.Overloaded, "x"), 607, flow.Transient},
		{"608", flow.Errorf(flow.ReplyTimeout, "x"), 608, flow.Transient},
		{"said otherwise", flow.Errorf(flow.DestinationFailed, "x").WithClass(flow.Permanent), 602, flow.Permanent},
		{"wrapped", fmt.Errorf("calling: %w", flow.Errorf(flow.BadMessage, "x")), 606, flow.Permanent},
		{"no code", errors.New("x"), 600, flow.Permanent},
		{"our context was cancelled", fmt.Errorf("calling: %w", context.Canceled), 600, flow.Stopping},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := flow.CodeOf(tt.err); got != tt.code {
				t.Errorf("code = %d, want %d", got, tt.code)
			}
			if got := flow.ClassOf(tt.err); got != tt.class {
				t.Errorf("class = %d, want %d", got, tt.class)
			}
		})
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	cause := errors.New("connection refused")
	err := flow.Errorf(flow.DestinationFailed, "calling %q: %w", "orders", cause).WithClass(flow.Permanent)
	if !errors.Is(err, cause) || err.Error() != `calling "orders": connection refused` {
		t.Errorf("err = %q, want the text with its cause wrapped", err)
	}
}

func TestGraceOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		work, cancel := flow.Grace(time.Minute).Context(ctx)
		defer cancel()
		time.Sleep(time.Hour) // on the fake clock
		if work.Err() != nil {
			t.Fatal("work ended before it was told to stop")
		}
		stop()
		start := time.Now()
		<-work.Done()
		if got := time.Since(start); got != time.Minute {
			t.Errorf("work ended %v after the stop, want 1m", got)
		}
	})
}

func TestGraceCancelledLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		work, cancel := flow.Grace(time.Hour).Context(ctx)
		stop()
		synctest.Wait()
		cancel()
		if work.Err() == nil {
			t.Error("work goes on after cancel")
		}
	}) // the bubble fails when a goroutine is left
}

func ExampleChain() {
	say := func(name string) flow.Middleware {
		return func(next flow.Handler) flow.Handler {
			return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
				fmt.Println(name, "before")
				defer fmt.Println(name, "after")
				return next(ctx, in)
			}
		}
	}
	target := func(_ context.Context, in *flow.Message) (*flow.Message, error) {
		fmt.Println(strings.ToUpper(string(in.Body)))
		return nil, nil
	}
	_, _ = flow.Chain(target, say("first"), say("second"))(context.Background(), &flow.Message{Body: []byte("target")})
	// Output:
	// first before
	// second before
	// TARGET
	// second after
	// first after
}
