package routing_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

func TestExplain(t *testing.T) {
	r := router(t, javaDialect, routing.Options{})
	m := &flow.Message{Body: []byte(`<AccountRq><PartnerID>core</PartnerID></AccountRq>`)}
	got, err := r.Explain(m)
	if err != nil {
		t.Fatal(err)
	}
	want := &routing.Explanation{
		RouteName:     "Account",
		Route:         "default",
		Variables:     map[string]string{"Service": "Account", "From": "bank1", "To": "core-rs"},
		Destination:   "account-async-rs",
		TransportType: "grpc",
		Steps: []routing.Step{
			{Stage: "routeName", Rule: `fromRfh2Header "Op"`, Reason: "not set"},
			{Stage: "routeName", Rule: `fromBody "local-name(/*)"`, Value: "AccountRq"},
			{Stage: "routeName", Expression: "value.substring(0,value.length()-2)", Value: "Account"},
			{Stage: "route", Value: "default", Reason: `no entry "Account"`},
			{Stage: "variable", Variable: "Service", Rule: `fromBody "local-name(/*)"`, Value: "AccountRq"},
			{Stage: "variable", Variable: "Service", Expression: "value.substring(0,value.length()-2)", Value: "Account"},
			{Stage: "variable", Variable: "From", Rule: `fromRfh2Header "From"`, Reason: "not set"},
			{Stage: "variable", Variable: "From", Rule: `fromConst "Bank1"`, Value: "Bank1"},
			{Stage: "variable", Variable: "From", Expression: "value.toLowerCase()", Value: "bank1"},
			{Stage: "variable", Variable: "To", Rule: `fromRfh2Header "To"`, Reason: "not set"},
			{Stage: "variable", Variable: "To", Rule: `fromBody "//PartnerID"`, Value: "core"},
			{Stage: "variable", Variable: "To", Expression: "value+'-rs'", Value: "core-rs"},
			{Stage: "destination", Expression: "variables['From'] + '-' + variables['Service'] + '-' + variables['To']", Value: "bank1-Account-core-rs"},
			{Stage: "substitution", Value: "account-async-rs"},
			{Stage: "authority", Value: "account-async-rs"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Explain (-want +got):\n%s", diff)
	}
}

func TestExplainFailure(t *testing.T) {
	r := router(t, javaDialect, routing.Options{})
	m := &flow.Message{Body: []byte(`{"op": "CardRq"}`)}
	got, err := r.Explain(m)
	if flow.CodeOf(err) != flow.RouteNotFound {
		t.Fatalf("err = %v", err)
	}
	_, plain := r.Route(m)
	if want := (&routing.Failure{Code: 601, Name: "ROUTE_NOT_FOUND", Message: plain.Error()}); !cmp.Equal(got.Error, want) {
		t.Errorf("Error = %+v, want %+v", got.Error, want)
	}
	if last := got.Steps[len(got.Steps)-1]; last.Stage != "destination" || last.Error == "" {
		t.Errorf("last step = %+v, want the destination with its error", last)
	}
	out, err := json.Marshal(got)
	var keys map[string]any
	if err != nil || json.Unmarshal(out, &keys) != nil {
		t.Fatalf("JSON = %s, %v", out, err)
	}
	for _, key := range []string{"routeName", "route", "variables", "destination", "transportType", "steps", "error"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("JSON %s has no %q", out, key)
		}
	}
}

// TestExplainReasons holds what a step without a value says.
func TestExplainReasons(t *testing.T) {
	rule := func(kind, value, path string) routing.ValueConfig {
		return routing.ValueConfig{ValueFrom: []routing.RuleConfig{{Type: kind, Value: value, ValueJSON: path}}}
	}
	for _, tt := range []struct {
		name      string
		routeName routing.ValueConfig
		message   flow.Message
		want      string
	}{
		{"system header", rule("fromHeader", "CorrelId", ""), flow.Message{}, "not set"},
		{"system header of MQ alone", rule("fromHeader", "Report", ""), flow.Message{}, "no broker here has it"},
		{"user header", rule("fromRfh2Header", "Op", ""), flow.Message{}, "not set"},
		{"no call", rule("fromGrpcHeader", "x-op", ""), flow.Message{}, "no incoming call"},
		{"metadata", rule("fromGrpcHeader", "x-op", ""), flow.Message{Call: &flow.Call{}}, "not set"},
		{"authority", rule("fromAuthority", "", ""), flow.Message{}, "no incoming call"},
		{"constant", rule("fromConst", "", ""), flow.Message{}, "empty"},
		{"no body", rule("fromBody", "//a", "$.a"), flow.Message{}, "no body"},
		{"text body", rule("fromBody", "//a", "$.a"), flow.Message{Body: []byte("hello")}, "body is neither XML nor JSON"},
		{"no XPath", rule("fromBody", "", "$.a"), flow.Message{Body: []byte("<a/>")}, "no XPath for an XML body"},
		{"no JSONPath", rule("fromBody", "//a", ""), flow.Message{Body: []byte("{}")}, "no JSONPath for a JSON body"},
		{"no match", rule("fromBody", "//a", ""), flow.Message{Body: []byte("<b/>")}, "no match, or an empty one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := routing.New(routing.Config{
				RouteName: tt.routeName,
				RouteList: []routing.RouteConfig{{DestinationExpression: "'rs'"}},
			}, routing.Options{})
			if err != nil {
				t.Fatal(err)
			}
			x, err := r.Explain(&tt.message)
			if err != nil || len(x.Steps) < 2 {
				t.Fatalf("Explain = %+v, %v", x, err)
			}
			if got := x.Steps[0].Reason; got != tt.want {
				t.Errorf("reason = %q, want %q", got, tt.want)
			}
			if got, want := x.Steps[1].Reason, "routeName yields no name"; got != want {
				t.Errorf("reason of the route = %q, want %q", got, want)
			}
		})
	}
}

// TestExplainEndsWithTheError looks at the last step of messages that fail at
// different stages.
func TestExplainEndsWithTheError(t *testing.T) {
	header := []routing.RuleConfig{{Type: "fromRfh2Header", Value: "Op"}}
	for _, tt := range []struct {
		name   string
		config routing.Config
		want   routing.Stage
	}{
		{"name of the route", routing.Config{
			RouteName: routing.ValueConfig{ValueFrom: header, Expr: "value[9:]"},
			RouteList: []routing.RouteConfig{{DestinationExpression: "'rs'"}},
		}, routing.StageRouteName},
		{"route", routing.Config{
			RouteName: routing.ValueConfig{ValueFrom: header},
			RouteList: []routing.RouteConfig{{RouteName: "other", DestinationExpression: "'rs'"}},
		}, routing.StageRoute},
		{"variable", routing.Config{RouteList: []routing.RouteConfig{{
			Variables:             []routing.VariableConfig{{Name: "X", ValueFrom: header, Expr: "value[9:]"}},
			DestinationExpression: "X",
		}}}, routing.StageVariable},
		{"destination", routing.Config{RouteList: []routing.RouteConfig{{
			Variables:             []routing.VariableConfig{{Name: "X", ValueFrom: []routing.RuleConfig{{Type: "fromHeader", Value: "CorrelId"}}}},
			DestinationExpression: "X",
		}}}, routing.StageDestination},
		{"authority", routing.Config{RouteList: []routing.RouteConfig{{
			DestinationExpression: "userHeaders['Op'] + '!'",
		}}}, routing.StageAuthority},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := routing.New(tt.config, routing.Options{})
			if err != nil {
				t.Fatal(err)
			}
			x, err := r.Explain(&flow.Message{Headers: []flow.Header{user("Op", "Pay")}})
			if flow.CodeOf(err) != flow.RouteNotFound {
				t.Fatalf("err = %v", err)
			}
			last := len(x.Steps) - 1
			for i, s := range x.Steps {
				if (s.Error != "") != (i == last) {
					t.Errorf("step %d of %d: %+v", i, len(x.Steps), s)
				}
			}
			if got := x.Steps[last].Stage; got != tt.want {
				t.Errorf("stage = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExplanationFail(t *testing.T) {
	var x routing.Explanation
	x.Fail(routing.StageBody, flow.Errorf(flow.BadMessage, "body is not UTF-8"))
	got, err := json.Marshal(&x)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"routeName":"","route":"","variables":{},"destination":"","transportType":"",` +
		`"steps":[{"stage":"body","value":"","error":"body is not UTF-8"}],` +
		`"error":{"code":606,"name":"BAD_MESSAGE","message":"body is not UTF-8"}}`
	if string(got) != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}

func ExampleRouter_Explain() {
	r, err := routing.New(routing.Config{
		RouteList: []routing.RouteConfig{{
			Variables: []routing.VariableConfig{{
				Name:      "Service",
				ValueFrom: []routing.RuleConfig{{Type: "fromBody", Value: "local-name(/*)", ValueJSON: "$.operation"}},
				Expr:      "value[0:len(value)-2]",
			}},
			DestinationExpression: "toLower(Service) + '-rs'",
		}},
	}, routing.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := r.Explain(&flow.Message{Body: []byte("<PaymentRq/>")})
	for _, s := range x.Steps {
		fmt.Println(s.Stage, "->", s.Value)
	}
	fmt.Println(err)
	// Output:
	// route -> default
	// variable -> PaymentRq
	// variable -> Payment
	// destination -> payment-rs
	// authority -> payment-rs
	// <nil>
}

func ExampleRouter_Route() {
	r, err := routing.New(routing.Config{
		RouteList: []routing.RouteConfig{{DestinationExpression: "headers['PutApplName'] + '-adapter:5454'"}},
	}, routing.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	route, err := r.Route(&flow.Message{AppID: "billing"})
	fmt.Println(route.Destination, err)
	// Output: billing-adapter:5454 <nil>
}
