package routing_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// TestManyGoroutines routes different messages through one router at once.
func TestManyGoroutines(t *testing.T) {
	for _, parser := range []string{"auto", "DOM"} {
		r := router(t, javaDialect, routing.Options{TypeParser: parser})
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				for round := range 5 {
					if err := routeOne(r, i, round); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
}

func routeOne(r *routing.Router, i, round int) error {
	id := strconv.Itoa(i*10 + round)
	body := `<S` + id + `Rq><PartnerID>p` + id + `</PartnerID></S` + id + `Rq>`
	if i%2 == 0 {
		body = `{"op": "S` + id + `Rq", "x": {"partner": "p` + id + `"}}`
	}
	m := &flow.Message{Body: []byte(body), Headers: []flow.Header{user("From", "F"+id)}}
	if i%10 == 9 { // Errors in between must leave nothing behind.
		m.Body = []byte("<broken")
		if _, err := r.Route(m); flow.CodeOf(err) != flow.BadMessage {
			return fmt.Errorf("a broken body: %w", err)
		}
		return nil
	}
	want := "f" + id + "-S" + id + "-p" + id + "-rs"
	if got, err := r.Route(m); err != nil || got.Destination != want {
		return fmt.Errorf("Destination = %q, %w, want %q", got.Destination, err, want)
	}
	return nil
}

func TestMiddleware(t *testing.T) {
	r := router(t, javaDialect, routing.Options{})
	var seen flow.Route
	handler := r.Middleware(func(_ context.Context, in *flow.Message) (*flow.Message, error) {
		seen = in.Route
		return nil, errors.New("called")
	})
	in := &flow.Message{Headers: []flow.Header{user("Op", "TransferRq")}}
	if _, err := handler(t.Context(), in); err == nil || err.Error() != "called" {
		t.Errorf("err = %v, want that of the next handler", err)
	}
	if want := (flow.Route{Name: "Transfer", Destination: "bank-transfer-core-rs", Transport: "grpc"}); seen != want || in.Route != want {
		t.Errorf("Route = %+v and %+v, want %+v", seen, in.Route, want)
	}
	seen = flow.Route{}
	in = &flow.Message{Headers: []flow.Header{user("Op", "OtherRq")}}
	if _, err := handler(t.Context(), in); flow.CodeOf(err) != flow.RouteNotFound || seen != (flow.Route{}) {
		t.Errorf("a message without a partner: %v, and the next handler saw %+v", err, seen)
	}
	if in.Route.Name != "default" {
		t.Errorf("Route = %+v, want what was found", in.Route)
	}
}
