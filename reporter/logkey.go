package reporter

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"repronet/internal/wire"
)

// fetchLogKey asks an aggregator for its log's key.
func fetchLogKey(ctx context.Context, client *http.Client, base string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+wire.LogKeyPath, nil)
	if err != nil {
		return "", fmt.Errorf("fetching the log's key: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("fetching the log's key: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("fetching the log's key: %s answered %s", base+wire.LogKeyPath, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("fetching the log's key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
