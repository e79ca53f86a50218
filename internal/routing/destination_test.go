package routing_test

import (
	"strings"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

func TestAuthority(t *testing.T) {
	r := router(t, routeBy("{type: fromRfh2Header, value: To}"), routing.Options{})
	long := strings.Repeat("a", 63)
	for authority, valid := range map[string]bool{
		"svc": true, "SVC-1_x.ns.svc.cluster.local:5454": true, "1svc": true, "12345": true, "_svc": true, "a": true,
		"10.0.0.1": true, "10.0.0.1:80": true, "1.2.3": true, "[::1]": true, "[2001:db8::1]:65535": true, long: true, long + "." + long: true,
		"svc:": false, "svc:0": false, "svc:65536": false, "svc:-1": false, "svc:+1": false, "svc:http": false, "svc:1:2": false,
		"":     true, // Nothing found: the constant behind it.
		" svc": false, "sv c": false, "svc.": false, ".svc": false, "a..b": false, "-svc": false, "svc-": false, "сервис": false,
		"http://svc": false, "user@svc": false, "svc/path": false, long + "a": false, strings.Repeat(long+".", 4) + "a": false,
		"300.0.0.1": false, "01.2.3.4": false, "::1": false, "[::1": false, "[::1]x": false, "[::1]:": false, "[1.2.3.4]": false, "[fe80::1%eth0]": false, "[]": false,
	} {
		got, err := r.Route(&flow.Message{Headers: []flow.Header{user("To", authority)}})
		switch {
		case valid && err != nil:
			t.Errorf("%q is refused: %v", authority, err)
		case !valid && (err == nil || flow.CodeOf(err) != flow.RouteNotFound):
			t.Errorf("%q is taken: %q, %v", authority, got.Destination, err)
		}
	}
}

func TestEmptyDestination(t *testing.T) {
	const config = `
routing:
  routeList: [{destinationExpression: "userHeaders['To']"}]
`
	_, err := router(t, config, routing.Options{}).Route(&flow.Message{})
	if flow.CodeOf(err) != flow.RouteNotFound || !strings.Contains(err.Error(), "the result is empty") {
		t.Errorf("Route = %v, want an error about an empty result", err)
	}
}

func TestAllowedDestinations(t *testing.T) {
	config := routeBy("{type: fromRfh2Header, value: To}") + `
  allowedDestinations: [one, "*.shop.svc", "a*b*c", "*:7000", "[::1]"]
`
	r := router(t, config, routing.Options{NeedAllowed: true})
	for authority, allowed := range map[string]bool{
		"one": true, "ONE": true, "one:80": true, "oned": false, "x.shop.svc": true, "x.shop.svc:1": true, ".shop.svc": false, "shop.svc": false,
		"xshop.svc": false, "abc": true, "a1b2c": true, "a1b2c:9": true, "ab": false, "ac": false, "abcx": false, "abbcc": true,
		"any:7000": true, "any:70000": false, "any:700": false, "any": false, "[::1]": true, "[::1]:5": true, "[::2]": false,
	} {
		_, err := r.Route(&flow.Message{Headers: []flow.Header{user("To", authority)}})
		if (err == nil) != allowed {
			t.Errorf("%q: %v, want allowed = %v", authority, err, allowed)
		}
	}
}
