package api_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"time"

	"repronet.dev/api"
)

// What is known about an output, from any aggregator. Nothing of it has to be believed:
// package verify checks it against the ledger.
func ExampleClient_Output() {
	aggregator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"key":"project/hello^out","verdict":"reproduced","operators":3,"digests":1,"claims":[],"history":[],"sets":[]}`)
	}))
	defer aggregator.Close()

	client, err := api.Dial(aggregator.URL, time.Minute)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	output, err := client.Output(context.Background(), "project/hello^out")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Println("nobody built it")
	case err != nil:
		fmt.Println(err)
	case output.Verdict == api.Reproduced:
		fmt.Printf("%d operators got the same\n", output.Operators)
	}
	// Output: 3 operators got the same
}

// All divergences of one shape, page by page.
func ExampleClient_Divergences() {
	aggregator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("cursor") == "" {
			fmt.Fprint(w, `{"total":2,"next":"2","divergences":[{"key":"a^out","verdict":"diverged","shape":"outlier","previous":"reproduced"}]}`)
			return
		}
		fmt.Fprint(w, `{"total":2,"divergences":[{"key":"b^out","verdict":"diverged","shape":"outlier","previous":"single"}]}`)
	}))
	defer aggregator.Close()

	client := &api.Client{HTTP: aggregator.Client(), Base: aggregator.URL}
	query := api.DivergenceQuery{Shape: api.Outlier, Limit: 1}
	for {
		page, err := client.Divergences(context.Background(), query)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, d := range page.Divergences {
			fmt.Println(d.Key, "was", d.Previous)
		}
		if query.Cursor = page.Next; query.Cursor == "" {
			return
		}
	}
	// Output:
	// a^out was reproduced
	// b^out was single
}
