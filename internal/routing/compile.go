package routing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mqgateway/internal/field"
	"mqgateway/internal/routing/expression"
	"mqgateway/internal/routing/jsonpath"
	"mqgateway/internal/routing/xmlpath"
)

// compiler makes a router and collects all problems on the way.
type compiler struct {
	router *Router
	opts   Options
	errs   []error
	// The paths that stream, each once, with their places in the plan.
	xmlPaths  []*xmlpath.Path
	xmlSlots  map[string]int
	jsonPaths []*jsonpath.Path
	jsonSlots map[string]int
}

// New compiles a configuration. The error joins all problems, with paths
// relative to the routing block. An empty list of routes is one of them.
func New(cfg Config, opts Options) (*Router, error) {
	c := &compiler{
		router:   &Router{entries: make(map[string]*entry)},
		opts:     opts,
		xmlSlots: make(map[string]int), jsonSlots: make(map[string]int),
	}
	c.checkOptions()
	c.allowed(cfg.AllowedDestinations)
	c.routeName(cfg.RouteName)
	c.routeList(cfg.RouteList)
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

func (c *compiler) fail(path, format string, args ...any) {
	c.errs = append(c.errs, field.Errorf(path, format, args...))
}

func (c *compiler) warn(path, format string, args ...any) {
	c.router.warnings = append(c.router.warnings, field.Errorf(path, format, args...))
}

// checkOptions reports an option by an empty path: it is set elsewhere.
func (c *compiler) checkOptions() {
	switch c.opts.TypeParser {
	case "", "auto", "DOM", "SAX":
	default:
		c.fail("", "parser %q is none of auto, DOM, SAX", c.opts.TypeParser)
	}
}

func (c *compiler) allowed(patterns []string) {
	if len(patterns) == 0 && c.opts.NeedAllowed {
		c.fail("allowedDestinations", "missing: a message chooses the name that is called, so that the names have to be bounded, as in [\"*.svc.cluster.local\"]")
	}
	for i, text := range patterns {
		if strings.TrimSpace(text) == "" {
			c.fail(fmt.Sprintf("allowedDestinations[%d]", i), "an empty pattern matches nothing")
			continue
		}
		c.router.allowed = append(c.router.allowed, newPattern(text))
	}
}

func (c *compiler) routeName(cfg ValueConfig) {
	c.router.routeName = c.finder("routeName", cfg.ValueFrom, cfg.Expr, expression.Env{Value: true})
	if len(cfg.ValueFrom) == 0 && cfg.Expr != "" {
		c.warn("routeName.expr", "never runs: routeName has no valueFrom")
	}
}

func (c *compiler) routeList(list []RouteConfig) {
	if len(list) == 0 {
		c.fail("routeList", "missing: services are called, so that at least one entry has to say which, as in - destinationExpression: \"'my-service'\"")
	}
	for i, cfg := range list {
		path := fmt.Sprintf("routeList[%d]", i)
		e := c.entry(path, cfg)
		if _, twice := c.router.entries[e.name]; twice {
			c.fail(path+".routeName", "route %q is there twice", e.name)
			continue
		}
		c.router.entries[e.name] = e
	}
	if _, ok := c.router.entries[defaultRoute]; !ok && len(list) > 0 && len(c.router.routeName.rules) == 0 {
		c.warn("routeList", "no message finds a route: routeName has no rules, and there is no entry %q", defaultRoute)
	}
}

func (c *compiler) entry(path string, cfg RouteConfig) *entry {
	e := &entry{name: cmp.Or(cfg.RouteName, defaultRoute), transport: cmp.Or(cfg.TransportType, "grpc")}
	if e.transport != "grpc" {
		c.fail(path+".transportType", "%q is not grpc", cfg.TransportType)
	}
	names := c.variables(path, cfg.Variables, e)
	e.destination = c.destination(path+".destinationExpression", cfg.DestinationExpression, names)
	e.destinations = c.substitutions(path+".destinations", cfg.Destinations)
	finders := make([]*finder, len(e.variables))
	for i := range e.variables {
		finders[i] = &e.variables[i].finder
	}
	e.streamsXML, e.streamsJSON = c.streams(finders...)
	return e
}

// variables compiles the variables of an entry, and returns their names.
func (c *compiler) variables(path string, list []VariableConfig, e *entry) []string {
	names := make([]string, len(list))
	for i, cfg := range list {
		names[i] = cfg.Name
	}
	for i, cfg := range list {
		path := fmt.Sprintf("%s.variables[%d]", path, i)
		switch {
		case cfg.Name == "":
			c.fail(path+".name", "missing")
		case expression.Reserved(cfg.Name):
			c.fail(path+".name", "%q has a meaning of its own in expressions; choose another name", cfg.Name)
		case slices.Contains(names[:i], cfg.Name):
			c.fail(path+".name", "variable %q is there twice", cfg.Name)
		}
		if len(cfg.ValueFrom) == 0 {
			c.fail(path+".valueFrom", "missing: a variable needs a rule that finds it")
		}
		env := expression.Env{Value: true, Variables: names[:i:i], Later: names[i:]}
		e.variables = append(e.variables, variable{cfg.Name, c.finder(path, cfg.ValueFrom, cfg.Expr, env)})
	}
	return names
}

func (c *compiler) destination(path, source string, names []string) *expression.Program {
	if strings.TrimSpace(source) == "" {
		c.fail(path, "missing: it says which service is called, as in \"'my-service'\"")
		return nil
	}
	p := c.expression(path, source, expression.Env{Variables: names})
	if p == nil {
		return nil
	}
	if constant, ok := p.Constant(); ok {
		if err := checkAuthority(constant); err != nil {
			c.router.warnings = append(c.router.warnings, field.At(path, -1, err))
		}
	}
	return p
}

func (c *compiler) expression(path, source string, env expression.Env) *expression.Program {
	p, err := expression.Compile(source, env)
	if err != nil {
		c.errs = append(c.errs, field.Under(path, err))
		return nil
	}
	for _, w := range p.Warnings() {
		for _, e := range field.All(field.Under(path, w)) {
			c.router.warnings = append(c.router.warnings, e)
		}
	}
	return p
}

// substitutions have keys without case, and values that can be called.
func (c *compiler) substitutions(path string, destinations map[string]string) map[string]string {
	lower := make(map[string]string, len(destinations))
	for _, from := range slices.Sorted(maps.Keys(destinations)) {
		path, key := path+"."+from, strings.ToLower(from)
		if _, twice := lower[key]; twice {
			c.fail(path, "%q is there twice, but for case", from)
		}
		if err := checkAuthority(destinations[from]); err != nil {
			c.errs = append(c.errs, field.At(path, -1, err))
		}
		lower[key] = destinations[from]
	}
	return lower
}

// finish makes the plans of what was compiled.
func (c *compiler) finish() *Router {
	r := c.router
	r.xmlPlan, r.jsonPlan = xmlpath.NewPlan(c.xmlPaths), jsonpath.NewPlan(c.jsonPaths)
	r.xmlLimits.Depth, r.jsonLimits.Depth = c.opts.XMLMaxDepth, c.opts.JSONMaxDepth
	r.streamsXML, r.streamsJSON = c.streams(&r.routeName)
	for _, e := range r.entries {
		r.streamsXML = r.streamsXML && e.streamsXML
		r.streamsJSON = r.streamsJSON && e.streamsJSON
	}
	r.evaluations.New = func() any { return &evaluation{router: r} }
	return r
}
