package jetstream

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mqgateway/internal/secret"
)

// tokenFile holds the token that was made for a directory.
const tokenFile = "token"

// token is the configured token, else the one kept in the directory, else a new
// one, which is kept there for the owner's eyes only.
func token(configured secret.String, directory string) (secret.String, error) {
	if configured != "" {
		return configured, nil
	}
	kept, err := keptToken(directory)
	if err != nil || kept != "" {
		return kept, err
	}
	text := rand.Text()
	if err := writePrivate(filepath.Join(directory, tokenFile), text+"\n"); err != nil {
		return "", fmt.Errorf("keeping the token: %w", err)
	}
	return secret.String(text), nil
}

// keptToken is empty when none is kept.
func keptToken(directory string) (secret.String, error) {
	kept, err := os.ReadFile(filepath.Join(directory, tokenFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return secret.String(strings.TrimSpace(string(kept))), nil
}

// writePrivate replaces the file at once or not at all.
func writePrivate(path, text string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(text)
	if err = cmp.Or(err, temporary.Sync(), temporary.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return os.Rename(temporary.Name(), path)
}
