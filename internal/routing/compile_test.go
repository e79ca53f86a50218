package routing_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/field"
	"mqgateway/internal/routing"
)

// problem is what a test compares of a field error.
type problem struct {
	Path   string
	Offset int
	Text   string
}

// problems cuts the texts to the length that is wanted.
func problems(err error, want []problem) []problem {
	var got []problem
	for i, e := range field.All(err) {
		text := e.Err.Error()
		if i < len(want) && strings.Contains(text, want[i].Text) {
			text = want[i].Text
		}
		got = append(got, problem{e.Path, e.Offset, text})
	}
	return got
}

func TestNewReportsAllProblems(t *testing.T) {
	const config = `
routing:
  routeName:
    valueFrom: [{type: fromBdy, value: x}, {type: fromHeader, value: MsgIdd}, {type: fromBody}]
    expr: value.foo()
  routeList:
    - routeName: a
      destinationExpression: system1-anotherservice-system2-rs
    - routeName: a
      destinationExpression: "'x' + variables['Nam']"
      transportType: ftp
      variables:
        - {name: Name, valueFrom: [{type: fromBody, value: "//a[", valueJson: "$.имя["}], expr: "'я' + Later"}
        - {name: Later, valueFrom: []}
        - {name: Name, valueFrom: [{type: fromRfh2Header}]}
        - {name: value, valueFrom: [{type: fromGrpcHeader}]}
        - {valueFrom: [{value: x}]}
      destinations: {A: b, a: c, d: "no name"}
    - {}
  allowedDestinations: ["", "a"]
`
	want := []problem{
		{"", -1, `parser "StAX" is none of auto, DOM, SAX`},
		{"allowedDestinations[0]", -1, "an empty pattern"},
		{"routeName.valueFrom[0].type", -1, `did you mean "fromBody"?`},
		{"routeName.valueFrom[1].value", -1, `unknown system header "MsgIdd"; did you mean "MsgId"?`},
		{"routeName.valueFrom[2].value", -1, "missing: the XPath"},
		{"routeName.expr", 6, "unknown method foo()"},
		{"routeList[0].destinationExpression", 0, "quotes"},
		{"routeList[1].transportType", -1, `"ftp" is not grpc`},
		{"routeList[1].variables[0].valueFrom[0].value", 4, "a step is missing"},
		{"routeList[1].variables[0].valueFrom[0].valueJson", 6, "missing ]"},
		{"routeList[1].variables[0].expr", 6, "computed only after"},
		{"routeList[1].variables[1].valueFrom", -1, "missing"},
		{"routeList[1].variables[2].name", -1, `variable "Name" is there twice`},
		{"routeList[1].variables[2].valueFrom[0].value", -1, "missing: the name of the header"},
		{"routeList[1].variables[3].name", -1, `"value" has a meaning of its own`},
		{"routeList[1].variables[3].valueFrom[0].value", -1, "missing: the name of the header"},
		{"routeList[1].variables[4].name", -1, "missing"},
		{"routeList[1].variables[4].valueFrom[0].type", -1, "missing: one of fromAuthority"},
		{"routeList[1].destinationExpression", 16, `did you mean "Name"?`},
		{"routeList[1].destinations.a", -1, "there twice, but for case"},
		{"routeList[1].destinations.d", -1, "is not host[:port]"},
		{"routeList[1].routeName", -1, `route "a" is there twice`},
		{"routeList[2].destinationExpression", -1, "missing"},
	}
	_, err := routing.New(load(t, config), routing.Options{TypeParser: "StAX"})
	if diff := cmp.Diff(want, problems(err, want)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestNewErrors(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		opts         routing.Options
		want         problem
	}{
		{"no routing at all", "{}", routing.Options{}, problem{"routeList", -1, "missing"}},
		{"empty list", "routing: {routeList: []}", routing.Options{}, problem{"routeList", -1, "missing"}},
		{"two defaults", `routing: {routeList: [{destinationExpression: "'a'"}, {routeName: default, destinationExpression: "'a'"}]}`, routing.Options{}, problem{"routeList[1].routeName", -1, `route "default" is there twice`}},
		{"no allowed destinations", `routing: {routeList: [{destinationExpression: "'a'"}]}`, routing.Options{NeedAllowed: true}, problem{"allowedDestinations", -1, "missing"}},
		{"SAX", routeBy("{type: fromBody, value: //a/b}"), routing.Options{TypeParser: "SAX"}, problem{"routeList[0].variables[0].valueFrom[0].value", -1, "needs mq.typeParser: DOM or auto"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := routing.New(load(t, tt.config), tt.opts)
			if diff := cmp.Diff([]problem{tt.want}, problems(err, []problem{tt.want})); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const config = `
routing:
  routeName: {expr: value}
  routeList:
    - routeName: a
      destinationExpression: "'not a name'"
      variables:
        - {name: A, valueFrom: [{type: fromHeader, value: CodedCharSetId, valueJson: $.a}]}
        - {name: B, valueFrom: [{type: fromRfh2Header, value: x-death}, {type: fromConst, value: c}, {type: fromBody, value: //b}]}
        - {name: C, valueFrom: [{type: fromConst}], expr: "'я' + headers['PutDate']"}
`
	want := []problem{
		{"routeName.expr", -1, "never runs"},
		{"routeList[0].variables[0].valueFrom[0].valueJson", -1, "with fromBody only"},
		{"routeList[0].variables[0].valueFrom[0].value", -1, "is never set"},
		{"routeList[0].variables[1].valueFrom[0].value", -1, "belongs to the broker"},
		{"routeList[0].variables[1].valueFrom[2]", -1, "never reached"},
		{"routeList[0].variables[2].valueFrom[0].value", -1, "an empty constant"},
		{"routeList[0].variables[2].expr", 14, "reads as empty"},
		{"routeList[0].destinationExpression", -1, "is not host[:port]"},
		{"routeList", -1, "no message finds a route"},
	}
	r := router(t, config, routing.Options{})
	var got []problem
	for i, err := range r.Warnings() {
		got = append(got, problems(err, want[min(i, len(want)-1):])...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
