package reporter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
)

// LogKeyFor returns the key by which an aggregator's log signs: the one given, the
// one that an installation pinned for this aggregator, or else what the aggregator
// says itself, in which case pinned is false.
func LogKeyFor(ctx context.Context, home Home, address, given string, client *api.Client) (key note.Verifier, text string, pinned bool, err error) {
	if given != "" {
		key, err = note.NewVerifier(given)
		if err != nil {
			return nil, "", false, fmt.Errorf("%.100q is no log's key: %w", given, err)
		}
		return key, given, true, nil
	}
	config, err := home.Config()
	if err != nil && !errors.Is(err, ErrNoHome) {
		return nil, "", false, err
	}
	if config != nil && config.Aggregator == address {
		key, err = home.LogKey()
		if err != nil || key != nil {
			return key, "", true, err
		}
	}
	if text, err = client.LogKey(ctx); err != nil {
		return nil, "", false, err
	}
	key, err = note.NewVerifier(text)
	if err != nil {
		return nil, "", false, fmt.Errorf("%.100q is no log's key: %w", text, err)
	}
	return key, text, false, nil
}
