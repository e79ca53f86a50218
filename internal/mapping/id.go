package mapping

import "github.com/google/uuid"

// NewID makes a message id: a UUID of version 7, which sorts by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
