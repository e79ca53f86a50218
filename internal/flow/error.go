package flow

import (
	"context"
	"errors"
	"fmt"
)

// Code is the number that every error which leaves the gateway carries.
type Code int

// The error codes. Each belongs to the place that knows what went wrong.
const (
	// Internal is a defect of the gateway.
	Internal Code = 600
	// RouteNotFound: no route, a variable without a value, an expression that failed.
	RouteNotFound Code = 601
	// DestinationFailed: the call of the microservice failed or timed out.
	DestinationFailed Code = 602
	// BrokerFailed: not published or not confirmed on any manager, or unroutable.
	BrokerFailed Code = 603
	// ValidationFailed: the message does not match its schema.
	ValidationFailed Code = 604
	// ValidatorFailed: the validator could not be asked.
	ValidatorFailed Code = 605
	// BadMessage: too large, not text in a known encoding, malformed.
	BadMessage Code = 606
	// Overloaded: a limit was reached, or the gateway is shutting down.
	Overloaded Code = 607
	// ReplyTimeout: no reply within the time.
	ReplyTimeout Code = 608
)

var codeNames = map[Code]string{
	Internal:          "INTERNAL",
	RouteNotFound:     "ROUTE_NOT_FOUND",
	DestinationFailed: "DESTINATION_FAILED",
	BrokerFailed:      "BROKER_FAILED",
	ValidationFailed:  "VALIDATION_FAILED",
	ValidatorFailed:   "VALIDATOR_FAILED",
	BadMessage:        "BAD_MESSAGE",
	Overloaded:        "OVERLOADED",
	ReplyTimeout:      "REPLY_TIMEOUT",
}

// Name is the name of the code in capitals, as clients see it.
func (c Code) Name() string { return codeNames[c] }

// Class is what a code means for a consumed message when nobody knows better.
func (c Code) Class() Class {
	switch c {
	case DestinationFailed, BrokerFailed, ValidatorFailed, Overloaded, ReplyTimeout:
		return Transient
	default:
		return Permanent
	}
}

// Class tells what a failure means for the message.
type Class uint8

// The classes of failure.
const (
	// Permanent failures come again on every try.
	Permanent Class = iota
	// Transient failures may pass: the message is tried again.
	Transient
	// Stopping is no failure of the message: the gateway stops, and gives it back.
	Stopping
)

// Error is a failure with its code and class. Its text is that of Err.
type Error struct {
	Code  Code
	Class Class
	Err   error
}

// Errorf makes an error of a code, with the class that the code usually has.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Class: code.Class(), Err: fmt.Errorf(format, args...)}
}

// WithClass returns the error with another class.
func (e *Error) WithClass(class Class) *Error {
	return &Error{Code: e.Code, Class: class, Err: e.Err}
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause to [errors.Is] and [errors.As].
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err, [Internal] for an error that has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// ClassOf returns the class of err. An error without a code is a defect, and
// permanent, unless it is the end of the context: the gateway stops then.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	if errors.Is(err, context.Canceled) {
		return Stopping
	}
	return Permanent
}
