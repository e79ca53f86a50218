package routing_test

import (
	"strings"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// routeBy makes a routing block with one rule, in flow style, whose text is the
// destination.
func routeBy(rule string) string {
	return `
routing:
  routeList:
    - destinationExpression: V
      variables:
        - name: V
          valueFrom: [` + rule + `, {type: fromConst, value: nothing}]
`
}

func TestRules(t *testing.T) {
	queue := flow.Message{
		ID: "m-1", CorrelID: "c-1", ReplyTo: "back", AppID: "app", JMSType: "kind", Expiry: time.Second, Priority: 3,
		Source: flow.Source{Queue: "in", Manager: "qm1", Deliveries: 2},
		Headers: []flow.Header{
			user("x-gateway-error", "hidden"), user("X-Gateway-Error", "hidden"), user("Name", "exact"), user("NAME", "other"),
			user("low", "low"), user("empty", ""), user("number", int64(42)), user("flag", true), user("bytes", []byte("b1")),
			user("decimal", flow.Decimal{Scale: 2, Value: 150}), user("null", nil),
		},
		Body: []byte(`<r><a/><b k="v">b&amp;</b></r>`),
	}
	call := flow.Message{
		Call: &flow.Call{Authority: "shop.svc", Metadata: map[string][]string{"x-target": {"t1", "t2"}}},
		Body: []byte(`[{"a": null, "n": 1.50, "o": {"k" : [1, 2]}, "l": ["x", "y"], "t": true}]`),
	}
	text := flow.Message{Body: []byte("plain text")}
	for _, tt := range []struct {
		name, rule string
		message    flow.Message
		want       string
	}{
		{"system header", "{type: fromHeader, value: MsgId}", queue, "m-1"},
		{"alias, other case", "{type: fromSystemHeader, value: jmscorrelationid}", queue, "c-1"},
		{"reply queue", "{type: fromHeader, value: ReplyToQ}", queue, "back"},
		{"manager that was read from", "{type: fromHeader, value: ReplyToQMgr}", queue, "qm1"},
		{"expiry", "{type: fromHeader, value: Expiry}", queue, "1000"},
		{"backout count", "{type: fromHeader, value: BackoutCount}", queue, "2"},
		{"message type by its reply queue", "{type: fromHeader, value: MsgType}", queue, "1"},
		{"system header without a value", "{type: fromHeader, value: UserIdentifier}", queue, "nothing"},
		{"header of MQMD only", "{type: fromHeader, value: PutDate}", queue, "nothing"},
		{"user header", "{type: fromRfh2Header, value: Name}", queue, "exact"},
		{"user header, other case", "{type: fromUserHeader, value: nAmE}", queue, "exact"},
		{"user header, other case only", "{type: fromRfh2Header, value: LOW}", queue, "low"},
		{"empty user header", "{type: fromRfh2Header, value: empty}", queue, "nothing"},
		{"null user header", "{type: fromRfh2Header, value: 'null'}", queue, "nothing"},
		{"absent user header", "{type: fromRfh2Header, value: absent}", queue, "nothing"},
		{"number", "{type: fromRfh2Header, value: number}", queue, "42"},
		{"boolean", "{type: fromRfh2Header, value: flag}", queue, "true"},
		{"bytes", "{type: fromRfh2Header, value: bytes}", queue, "b1"},
		{"decimal", "{type: fromRfh2Header, value: decimal}", queue, "1.50"},
		{"header of the gateway", "{type: fromRfh2Header, value: x-gateway-error}", queue, "nothing"},
		{"constant", "{type: fromConst, value: c-2}", queue, "c-2"},
		{"metadata", "{type: fromGrpcHeader, value: X-Target}", call, "t1"},
		{"metadata of a queue message", "{type: fromGrpcHeader, value: x-target}", queue, "nothing"},
		{"authority", "{type: fromAuthority}", call, "shop.svc"},
		{"authority of a queue message", "{type: fromAuthority}", queue, "nothing"},
		{"XML", "{type: fromBody, value: //b/@k}", queue, "v"},
		{"empty first element", "{type: fromBody, value: //a}", queue, "nothing"},
		{"XML without a JSON path", "{type: fromBody, valueJson: $.a}", queue, "nothing"},
		{"XML by a computed path", "{type: fromBody, value: 'count(//*)'}", queue, "3"},
		{"JSON number", "{type: fromBody, valueJson: '$[0].n'}", call, "1.50"},
		{"JSON null", "{type: fromBody, valueJson: '$[0].a'}", call, "nothing"},
		{"JSON list", "{type: fromBody, valueJson: '$..l'}", call, "x"},
		{"JSON boolean", "{type: fromBody, valueJson: '$[-1].t'}", call, "true"},
		{"JSON without an XPath", "{type: fromBody, value: //a}", call, "nothing"},
		{"neither XML nor JSON", "{type: fromBody, value: //a, valueJson: $.a}", text, "nothing"},
		{"empty body", "{type: fromBody, value: //a, valueJson: $.a}", flow.Message{}, "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := router(t, routeBy(tt.rule), routing.Options{}).Route(&tt.message)
			if err != nil || got.Destination != tt.want {
				t.Errorf("Destination = %q, %v, want %q", got.Destination, err, tt.want)
			}
		})
	}
}

func TestBodyIsReadOnlyWhenItMust(t *testing.T) {
	r := router(t, routeBy("{type: fromRfh2Header, value: To}, {type: fromBody, value: //To}"), routing.Options{})
	broken := []byte("<r><To>late</To><broken")
	got, err := r.Route(&flow.Message{Headers: []flow.Header{user("To", "early")}, Body: []byte("<")})
	if err != nil || got.Destination != "early" {
		t.Errorf("a header that is there: %q, %v, want early", got.Destination, err)
	}
	got, err = r.Route(&flow.Message{Body: broken})
	if err != nil || got.Destination != "late" {
		t.Errorf("a value before the place that is broken: %q, %v, want late", got.Destination, err)
	}
	_, err = router(t, routeBy("{type: fromBody, value: //To}"), routing.Options{TypeParser: "DOM"}).Route(&flow.Message{Body: broken})
	if flow.CodeOf(err) != flow.BadMessage {
		t.Errorf("DOM over a broken body: %v, want BAD_MESSAGE", err)
	}
}

// TestOneParse routes by a path that streams and one that does not: the tree is
// made at once, so that the body is read once.
func TestOneParse(t *testing.T) {
	const config = `
routing:
  routeName: {valueFrom: [{type: fromBody, value: //Kind}]}
  routeList:
    - {routeName: plain, destinationExpression: "'plain'"}
    - routeName: computed
      destinationExpression: V
      variables: [{name: V, valueFrom: [{type: fromBody, value: '//To[2]'}]}]
`
	r := router(t, config, routing.Options{})
	got, err := r.Route(&flow.Message{Body: []byte("<r><Kind>computed</Kind><To>a</To><To>b</To></r>")})
	if err != nil || got.Destination != "b" {
		t.Errorf("Destination = %q, %v, want b", got.Destination, err)
	}
	if _, err := r.Route(&flow.Message{Body: []byte("<r><Kind>plain</Kind>")}); flow.CodeOf(err) != flow.BadMessage {
		t.Errorf("err = %v, want BAD_MESSAGE: the message can reach a path over the whole body", err)
	}
}

func TestRouteErrors(t *testing.T) {
	const config = `
routing:
  routeName:
    valueFrom: [{type: fromRfh2Header, value: Op}, {type: fromBody, value: //Op, valueJson: $.op}]
    expr: value.substring(0, value.length()-2)
  routeList:
    - routeName: Pay
      destinationExpression: variables['A'] + B
      variables:
        - {name: A, valueFrom: [{type: fromRfh2Header, value: A}], expr: "value.charAt(2)"}
        - {name: B, valueFrom: [{type: fromRfh2Header, value: B}, {type: fromBody, value: //B, valueJson: $.b}]}
`
	for _, tt := range []struct {
		name    string
		headers map[string]string
		body    string
		code    flow.Code
		want    string
	}{
		{"no name", nil, "", flow.RouteNotFound, `finding the route: no rule of routeName yields a name, and routeList has no entry "default"`},
		{"unknown name", map[string]string{"Op": "SellRq"}, "", flow.RouteNotFound, `finding the route: routeList has neither "Sell" nor an entry "default"`},
		{"unknown name that may be a body", map[string]string{"Op": "секрет Rq"}, "", flow.RouteNotFound, `neither a text of 7 characters nor`},
		{"expression of the name", map[string]string{"Op": "R"}, "", flow.RouteNotFound, `naming the route: rule 1 (fromRfh2Header "Op"): evaluating "value.substring(0, value.length()-2)" over a value of 1 character: substring(0, -1) is out of range of 1 character`},
		{"broken body", nil, "<r>\n<Op>Pay</Or></r>", flow.BadMessage, `naming the route: rule 2 (fromBody "//Op", "$.op"): reading the XML body: line 2, column 8: an end tag`},
		{"broken JSON", nil, `{"a": tru}`, flow.BadMessage, `naming the route: rule 2 (fromBody "//Op", "$.op"): reading the JSON body: line 1, column 7: something that is no JSON value`},
		{"expression of a variable", map[string]string{"Op": "PayRq", "A": "ab"}, "", flow.RouteNotFound, `route "Pay": computing variable "A": rule 1 (fromRfh2Header "A"): evaluating "value.charAt(2)" over a value of 2 characters: charAt(2) is out of range`},
		{"variable without a value", map[string]string{"Op": "PayRq", "A": "abc"}, "", flow.RouteNotFound, `route "Pay": computing the destination: evaluating "variables['A'] + B": variable "B" has no value`},
		{"body broken for a variable", map[string]string{"Op": "PayRq"}, `{"x"`, flow.BadMessage, `route "Pay": computing variable "B": rule 2 (fromBody "//B", "$.b"): reading the JSON body`},
		{"no authority", map[string]string{"Op": "PayRq", "A": "abc", "B": "x y"}, "", flow.RouteNotFound, `route "Pay": destination expression "variables['A'] + B": the result, a text of 4 characters, is not host[:port]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &flow.Message{Body: []byte(tt.body)}
			for name, value := range tt.headers {
				m.Headers = append(m.Headers, user(name, value))
			}
			_, err := router(t, config, routing.Options{}).Route(m)
			if err == nil || flow.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Route = %v (%d), want %q (%d)", err, flow.CodeOf(err), tt.want, tt.code)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"XML", strings.Repeat("<a>", 11) + "<b>x</b>" + strings.Repeat("</a>", 11)},
		{"JSON", strings.Repeat(`{"a":`, 11) + `{"b":"x"}` + strings.Repeat("}", 11)},
	} {
		config := routeBy("{type: fromBody, value: //b, valueJson: $..b}")
		m := &flow.Message{Body: []byte(tt.body)}
		if got, err := router(t, config, routing.Options{XMLMaxDepth: 12, JSONMaxDepth: 12}).Route(m); err != nil || got.Destination != "x" {
			t.Errorf("%s at the limit: %q, %v", tt.name, got.Destination, err)
		}
		if _, err := router(t, config, routing.Options{XMLMaxDepth: 11, JSONMaxDepth: 11}).Route(m); flow.CodeOf(err) != flow.BadMessage {
			t.Errorf("%s over the limit: %v, want BAD_MESSAGE", tt.name, err)
		}
	}
}
