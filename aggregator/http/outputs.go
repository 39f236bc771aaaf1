package http

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/ecosystem"
)

type outputsInput struct {
	Name   string `query:"name" maxLength:"1024" doc:"The output's key: a store path, its hash part, or <build>^<output>."`
	Digest string `query:"digest" maxLength:"100" doc:"A SHA-256 digest that anybody ever claimed: in hexadecimal, in Nix's base 32, or as SRI."`
	PURL   string `query:"purl" maxLength:"1024" doc:"A package URL of the type nix, guix, deb, alpm, golang or generic." example:"pkg:deb/debian/bash@5.2.15-2?arch=amd64"`
}

// maxListed is how many outputs a look-up lists at most.
const maxListed = 1000

// outputs answers with an [api.Output] where a name was asked for, and with a list of
// [api.OutputRow] where a digest or a package URL was.
func (s *Server) outputs(ctx context.Context, in *outputsInput) (*body[any], error) {
	given := 0
	for _, value := range []string{in.Name, in.Digest, in.PURL} {
		given += min(len(value), 1)
	}
	switch {
	case given != 1:
		return nil, invalid("Give one of name, an output's key, digest, a SHA-256 digest, and purl, a package URL.")
	case in.Name != "":
		output, err := s.named(ctx, in.Name)
		return &body[any]{output}, dashboard.Missing(err, "Nobody attested an output named %q.", in.Name)
	case in.Digest != "":
		digest, err := attestation.ParseAnyDigest(strings.TrimSpace(in.Digest))
		if err != nil {
			return nil, invalid("Parameter digest: %v.", err)
		}
		rows, err := s.parts.Source.ByDigest(ctx, digest)
		return &body[any]{notNil(rows)}, err
	}
	purl, err := ecosystem.ParsePURL(strings.TrimSpace(in.PURL))
	if err != nil {
		return nil, invalid("Parameter purl: %v.", err)
	}
	found, err := s.parts.Source.Search(ctx, dashboard.SearchQuery{Text: purl.Text(), Limit: maxListed})
	if err != nil {
		return nil, err
	}
	rows := slices.DeleteFunc(found.Outputs, func(r api.OutputRow) bool { return r.Ecosystem != purl.Ecosystem || !purl.Names(r.Build, r.Key) })
	return &body[any]{notNil(rows)}, nil
}

// named finds an output by its key, or by what is unique in that: a store path's hash
// part, or its base name.
func (s *Server) named(ctx context.Context, name string) (*api.Output, error) {
	output, err := s.parts.Source.Output(ctx, name)
	hash := ecosystem.StoreHash(name)
	if p, parseErr := ecosystem.ParseStoreName(name); parseErr == nil && !strings.HasPrefix(name, "/") {
		hash = p.Hash
	}
	if !errors.Is(err, dashboard.ErrNotFound) || hash == "" {
		return output, err
	}
	const few = 20 // a hash part is in one key, and a base name in those that it begins
	found, searchErr := s.parts.Source.Search(ctx, dashboard.SearchQuery{Text: name, Limit: few})
	if searchErr != nil {
		return nil, searchErr
	}
	for _, row := range found.Outputs {
		if ecosystem.StoreHash(row.Key) == hash && (name == hash || strings.HasSuffix(row.Key, "/"+name)) {
			return s.parts.Source.Output(ctx, row.Key)
		}
	}
	return nil, err
}

// outputsAnswers describes the two forms of [Server.outputs].
func outputsAnswers(schemas huma.Registry, op *huma.Operation) {
	op.Responses["200"] = &huma.Response{
		Description: "With name, the output; with digest or purl, a list of at most 1,000 outputs",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{
			schemas.Schema(reflect.TypeFor[api.Output](), true, ""),
			{Type: huma.TypeArray, Items: schemas.Schema(reflect.TypeFor[api.OutputRow](), true, "")},
		}}}},
	}
}
