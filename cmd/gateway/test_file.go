package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"mqgateway/internal/config"
	"mqgateway/internal/config/tree"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
)

// testFile is a file of cases for 'gateway test'.
type testFile struct {
	// Cases are messages with what has to become of them.
	Cases []testCase `yaml:"cases"`
}

// testCase is one message and what is expected of it.
type testCase struct {
	// Name tells the case from the others of its file.
	Name    string          `yaml:"name"`
	Message testMessage     `yaml:"message"`
	Expect  testExpectation `yaml:"expect"`
}

// testMessage is a message as a sender sends it. Its body is one of File, Body and
// Base64; without them it is empty.
type testMessage struct {
	// File has the bytes of the body; relative paths begin at the folder of the test file.
	File string `yaml:"file"`
	// Body is the body as UTF-8.
	Body string `yaml:"body"`
	// Base64 has the bytes of a body that is not UTF-8.
	Base64 string `yaml:"base64"`
	// Headers are the user headers.
	Headers map[string]string `yaml:"headers"`
	// System are the system headers, by any of their names.
	System map[string]string `yaml:"system"`
	// Authority and GRPCHeaders are of an incoming call.
	Authority   string            `yaml:"authority"`
	GRPCHeaders map[string]string `yaml:"grpcHeaders"`
}

// testExpectation is what has to come out. What is not written is not checked; an
// empty text expects nothing there.
type testExpectation struct {
	// Destination is the authority of the service.
	Destination string `yaml:"destination"`
	// Route is the entry of routeList that is used.
	Route string `yaml:"route"`
	// RouteName is the name that routeName yields.
	RouteName     string            `yaml:"routeName"`
	TransportType string            `yaml:"transportType"`
	Variables     map[string]string `yaml:"variables"`
	// Headers are those that the service gets.
	Headers testHeaders `yaml:"headers"`
	// Body is the text that the service gets.
	Body string `yaml:"body"`
	// Error is why the message has no destination.
	Error testError `yaml:"error"`
}

type testHeaders struct {
	User   map[string]string `yaml:"user"`
	System map[string]string `yaml:"system"`
}

type testError struct {
	Code int `yaml:"code"`
	// Message is a part of the text.
	Message string `yaml:"message"`
}

// loadedCase is a case that can run: its message, and what has to come out of it
// by the names of outcomes.
type loadedCase struct {
	name    string
	place   config.Place
	message *draft
	wants   map[string]string
	// errorPart is what the text of the error has to hold.
	errorPart string
}

// loadCases reads a file of cases. All problems are told, each with its place.
func loadCases(file string, run *dryRun) ([]loadedCase, config.Problems) {
	t := tree.Read(testFile{}, []string{file}, tree.Options{Literal: true})
	var decoded testFile
	t.Decode(&decoded)
	if len(decoded.Cases) == 0 {
		t.Check(field.Errorf("cases", "missing: the file tests nothing"))
	}
	l := caseLoader{tree: t, folder: filepath.Dir(file), run: run, names: map[string]bool{}}
	var cases []loadedCase
	for i, c := range decoded.Cases {
		cases = append(cases, l.load(fmt.Sprintf("cases[%d]", i), c))
	}
	return cases, t.Problems()
}

// caseLoader makes cases of what is written.
type caseLoader struct {
	tree   *tree.Tree
	folder string
	run    *dryRun
	names  map[string]bool
}

func (l *caseLoader) fail(path, format string, args ...any) {
	l.tree.Check(field.Errorf(path, format, args...))
}

func (l *caseLoader) load(path string, c testCase) loadedCase {
	switch {
	case c.Name == "":
		l.fail(path+".name", "missing: every case has a name")
	case l.names[c.Name]:
		l.fail(path+".name", "another case has this name")
	}
	l.names[c.Name] = true
	loaded := loadedCase{
		name: c.Name, place: l.tree.Place(path), message: l.message(path+".message", c.Message),
		wants: l.wants(path+".expect", c.Expect), errorPart: c.Expect.Error.Message,
	}
	if len(loaded.wants) == 0 {
		l.fail(path+".expect", "missing: what has to come out, such as destination")
	}
	return loaded
}

func (l *caseLoader) message(path string, m testMessage) *draft {
	d := l.run.draft()
	if m.Authority != "" {
		d.setAuthority(m.Authority)
	}
	l.setAll(path+".grpcHeaders", m.GRPCHeaders, d.setMetadata)
	l.setAll(path+".headers", m.Headers, d.setHeader)
	l.setAll(path+".system", m.System, d.setSystem)
	d.message.Body = l.body(path, m)
	return d
}

func (l *caseLoader) setAll(path string, values map[string]string, set func(name, text string) error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := set(name, values[name]); err != nil {
			l.fail(path+"."+name, "%w", err)
		}
	}
}

// body is what the one key says that is set.
func (l *caseLoader) body(path string, m testMessage) []byte {
	var set []string
	for _, key := range []string{"file", "body", "base64"} {
		if l.tree.Has(path + "." + key) {
			set = append(set, key)
		}
	}
	if len(set) > 1 {
		l.fail(path+"."+set[1], "the body is given by %s already", set[0])
		return nil
	}
	switch {
	case m.File != "":
		return l.file(path+".file", m.File)
	case m.Base64 != "":
		body, err := base64.StdEncoding.DecodeString(m.Base64)
		if err != nil {
			l.fail(path+".base64", "the text is not base64")
		}
		return body
	default:
		return []byte(m.Body)
	}
}

func (l *caseLoader) file(path, name string) []byte {
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.folder, name)
	}
	body, err := os.ReadFile(name)
	if err != nil {
		l.fail(path, "reading %q: %w", name, withoutPath(err))
	}
	return body
}

// wants has what is expected by the names of outcomes.
func (l *caseLoader) wants(path string, e testExpectation) map[string]string {
	wants := map[string]string{}
	for key, text := range map[string]string{
		"destination": e.Destination, "route": e.Route, "routeName": e.RouteName,
		"transportType": e.TransportType, "body": e.Body,
	} {
		if l.tree.Has(path + "." + key) {
			wants[key] = text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Variables)) {
		if !slices.Contains(l.run.variables, name) {
			l.fail(path+".variables."+name, "no entry of routeList has this variable%s", field.Suggest(name, l.run.variables))
		}
		wants[variableOutcome+name] = e.Variables[name]
	}
	for name, text := range e.Headers.User {
		wants[userOutcome+name] = text
	}
	l.wantSystem(path+".headers.system", e.Headers.System, wants)
	if l.tree.Has(path + ".error") {
		l.wantError(path+".error", e.Error, wants)
	}
	return wants
}

func (l *caseLoader) wantSystem(path string, headers, wants map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		p, err := systemHeader(name)
		if err != nil {
			l.fail(path+"."+name, "%w", err)
			continue
		}
		if _, twice := wants[systemOutcome+p.Name]; twice {
			l.fail(path+"."+name, "the header is there by another name already")
		}
		wants[systemOutcome+p.Name] = headers[name]
	}
}

func (l *caseLoader) wantError(path string, e testError, wants map[string]string) {
	switch {
	case e.Code == 0:
		l.fail(path+".code", "missing: the code that is expected, such as %d", flow.RouteNotFound)
	case flow.Code(e.Code).Name() == "":
		l.fail(path+".code", "no error has the code %d", e.Code)
	}
	wants[errorOutcome] = strconv.Itoa(e.Code)
}
