package routing

// Config is the routing block: how the service that a message goes to is found.
type Config struct {
	// RouteName names the route of a message. Without it every message takes the
	// entry "default".
	RouteName ValueConfig `yaml:"routeName"`
	// RouteList are the routes. A route without a name is "default", which takes
	// the messages that no other entry is for.
	RouteList []RouteConfig `yaml:"routeList"`
	// AllowedDestinations are patterns of names that may be called; * matches
	// any run of characters. Empty allows all; required for grpc.client.routing: direct.
	AllowedDestinations []string `yaml:"allowedDestinations"`
}

// ValueConfig finds a text in a message.
type ValueConfig struct {
	// ValueFrom are rules; the first that yields a text that is not empty wins.
	ValueFrom []RuleConfig `yaml:"valueFrom"`
	// Expr turns the found text, which it sees as value, into the result.
	Expr string `yaml:"expr"`
}

// RuleConfig says where to look for a text.
type RuleConfig struct {
	// Type is one of fromHeader (or fromSystemHeader), fromRfh2Header (or
	// fromUserHeader), fromBody, fromConst, fromGrpcHeader, fromAuthority.
	Type string `yaml:"type"`
	// Value is the name of the header, the XPath for an XML body, or the constant.
	Value string `yaml:"value"`
	// ValueJSON is the JSONPath for a JSON body, with fromBody.
	ValueJSON string `yaml:"valueJson"`
}

// RouteConfig is one entry of the list.
type RouteConfig struct {
	// RouteName is the name of the route. Default "default".
	RouteName string `yaml:"routeName"`
	// Variables are computed in order and named in DestinationExpression.
	Variables []VariableConfig `yaml:"variables"`
	// DestinationExpression yields the authority of the service to call.
	DestinationExpression string `yaml:"destinationExpression"`
	// Destinations replaces an authority by another; keys are compared without case.
	Destinations map[string]string `yaml:"destinations"`
	// TransportType is grpc. Default grpc.
	TransportType string `yaml:"transportType" enum:"grpc"`
}

// VariableConfig is a named text found in a message.
type VariableConfig struct {
	// Name is how expressions read the variable.
	Name string `yaml:"name"`
	// ValueFrom and Expr are as in [ValueConfig].
	ValueFrom []RuleConfig `yaml:"valueFrom"`
	Expr      string       `yaml:"expr"`
}
