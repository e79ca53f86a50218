package routing_test

import (
	"testing"

	"go.yaml.in/yaml/v3"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// load reads the routing block of a YAML text.
func load(t testing.TB, text string) routing.Config {
	t.Helper()
	var file struct {
		Routing routing.Config `yaml:"routing"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("reading YAML: %v", err)
	}
	return file.Routing
}

// router compiles the routing block of a YAML text.
func router(t testing.TB, text string, opts routing.Options) *routing.Router {
	t.Helper()
	r, err := routing.New(load(t, text), opts)
	if err != nil {
		t.Fatalf("compiling: %v", err)
	}
	return r
}

func user(name string, value any) flow.Header { return flow.Header{Name: name, Value: value} }

const javaDialect = `
routing:
  routeName:
    valueFrom:
      - {type: fromRfh2Header, value: Op}
      - {type: fromBody, value: local-name(/*), valueJson: $.op}
      - {type: fromConst, value: CommonRq}
    expr: value.substring(0,value.length()-2)
  routeList:
    - routeName: Transfer
      destinationExpression: "'bank-transfer-core-rs'"
    - routeName: default
      destinationExpression: variables['From'] + '-' + variables['Service'] + '-' + variables['To']
      variables:
        - name: Service
          valueFrom: [{type: fromBody, value: local-name(/*), valueJson: $.op}]
          expr: value.substring(0,value.length()-2)
        - name: From
          valueFrom: [{type: fromRfh2Header, value: From}, {type: fromConst, value: Bank1}]
          expr: value.toLowerCase()
        - name: To
          valueFrom: [{type: fromRfh2Header, value: To}, {type: fromBody, value: //PartnerID, valueJson: $..partner}]
          expr: value+'-rs'
      destinations:
        'BANK1-account-core-rs': account-async-rs
`

func TestRoute(t *testing.T) {
	xml := `<?xml version="1.0"?><AccountRq><Head><PartnerID>core</PartnerID></Head></AccountRq>`
	for _, tt := range []struct {
		name    string
		headers []flow.Header
		body    string
		want    flow.Route
	}{
		{"header names the route", []flow.Header{user("Op", "TransferRq")}, "", flow.Route{Name: "Transfer", Destination: "bank-transfer-core-rs", Transport: "grpc"}},
		{"header without case", []flow.Header{user("op", "TransferRq")}, "", flow.Route{Name: "Transfer", Destination: "bank-transfer-core-rs", Transport: "grpc"}},
		{"exact header before one without case", []flow.Header{user("OP", "OtherRq"), user("Op", "TransferRq")}, "", flow.Route{Name: "Transfer", Destination: "bank-transfer-core-rs", Transport: "grpc"}},
		{"substitution without case", nil, xml, flow.Route{Name: "default", Destination: "account-async-rs", Transport: "grpc"}},
		{"header beats body", []flow.Header{user("To", "cards"), user("From", "BANK2")}, xml, flow.Route{Name: "default", Destination: "bank2-Account-cards-rs", Transport: "grpc"}},
		{"json", nil, ` {"op": "CardRq", "deep": [{"partner": "x1"}, {"partner": "x2"}]}`, flow.Route{Name: "default", Destination: "bank1-Card-x1-rs", Transport: "grpc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, parser := range []string{"auto", "DOM", "SAX"} {
				r := router(t, javaDialect, routing.Options{TypeParser: parser})
				got, err := r.Route(&flow.Message{Headers: tt.headers, Body: []byte(tt.body)})
				if err != nil || got != tt.want {
					t.Errorf("%s: Route = %+v, %v, want %+v", parser, got, err, tt.want)
				}
			}
		})
	}
}
