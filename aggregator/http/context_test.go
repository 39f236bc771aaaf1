package http_test

import (
	"go/ast"
	"go/types"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestContexts: a *gin.Context is never passed where a context.Context is wanted. It
// has no Done unless gin is told to, so what is asked for a client would go on after
// the client has left; c.Request.Context() is the one to pass.
func TestContexts(t *testing.T) {
	loaded, err := packages.Load(&packages.Config{
		Context: t.Context(),
		Mode:    packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedExportFile,
	}, "repronet.dev/aggregator/http", "repronet.dev/dashboard")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, p := range loaded {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				calls++
				signature, ok := p.TypesInfo.TypeOf(call.Fun).(*types.Signature)
				if !ok {
					return true
				}
				for i, argument := range call.Args {
					if i >= signature.Params().Len() {
						break
					}
					wanted, given := signature.Params().At(i).Type().String(), p.TypesInfo.TypeOf(argument).String()
					if wanted == "context.Context" && given == "*github.com/gin-gonic/gin.Context" {
						t.Errorf("%s: pass c.Request.Context()", p.Fset.Position(argument.Pos()))
					}
				}
				return true
			})
		}
	}
	if calls < 500 {
		t.Errorf("looked at %d calls only", calls)
	}
}
