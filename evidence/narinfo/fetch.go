package narinfo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"repronet.dev/ecosystem"
	"repronet.dev/internal/redirects"
)

// ErrNotThere is wrapped by [Fetch] where a cache does not have the path.
var ErrNotThere = errors.New("not in the cache")

// URL returns where a cache has the narinfo of a store path, or of its hash.
func URL(cache, path string) (string, error) {
	hash := ecosystem.StoreHash(path)
	if hash == "" {
		return "", fmt.Errorf("%.100q is not a store path", path)
	}
	return strings.TrimRight(cache, "/") + "/" + hash + ".narinfo", nil
}

// Fetch gets the file at a URL, of at most [MaxSize] bytes. Nothing of it is
// proven before [Open]. The client bounds the time. Redirects are followed on the same
// host only.
func Fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching narinfo: %w", err)
	}
	response, err := redirects.On(client).Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching narinfo: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone:
		return nil, fmt.Errorf("fetching narinfo: %w: %s answered %s", ErrNotThere, url, response.Status)
	default:
		return nil, fmt.Errorf("fetching narinfo: %s answered %s", url, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("%s is larger than %d bytes", url, MaxSize)
	}
	if err != nil {
		return nil, fmt.Errorf("fetching narinfo: %w", err)
	}
	return data, nil
}
