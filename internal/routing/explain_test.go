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
			{Stage: "routeName", Rule: `fromRfh2Header "Op"`},
			{Stage: "routeName", Rule: `fromBody "local-name(/*)", "$.op"`, Value: "AccountRq"},
			{Stage: "routeName", Expression: "value.substring(0,value.length()-2)", Value: "Account"},
			{Stage: "route", Value: "default"},
			{Stage: "variable", Variable: "Service", Rule: `fromBody "local-name(/*)", "$.op"`, Value: "AccountRq"},
			{Stage: "variable", Variable: "Service", Expression: "value.substring(0,value.length()-2)", Value: "Account"},
			{Stage: "variable", Variable: "From", Rule: `fromRfh2Header "From"`},
			{Stage: "variable", Variable: "From", Rule: `fromConst "Bank1"`, Value: "Bank1"},
			{Stage: "variable", Variable: "From", Expression: "value.toLowerCase()", Value: "bank1"},
			{Stage: "variable", Variable: "To", Rule: `fromRfh2Header "To"`},
			{Stage: "variable", Variable: "To", Rule: `fromBody "//PartnerID", "$..partner"`, Value: "core"},
			{Stage: "variable", Variable: "To", Expression: "value+'-rs'", Value: "core-rs"},
			{Stage: "destination", Expression: "variables['From'] + '-' + variables['Service'] + '-' + variables['To']", Value: "bank1-Account-core-rs"},
			{Stage: "substitution", Value: "account-async-rs"},
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
	steps, err := r.Explain(&flow.Message{Body: []byte("<PaymentRq/>")})
	fmt.Print(steps)
	fmt.Println(err)
	// Output:
	// route -> "default"
	// variable Service: fromBody "local-name(/*)", "$.operation" -> "PaymentRq"
	// variable Service: value[0:len(value)-2] -> "Payment"
	// destination: toLower(Service) + '-rs' -> "payment-rs"
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
