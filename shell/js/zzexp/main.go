package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/js"
	"respect/shell/render"
)

type fake struct{}

func (fake) MaxStatements(js.Target) int { return 1000 }

type fixed bson.Raw

func (r fixed) Raw(context.Context) (bson.Raw, error) { return bson.Raw(r), nil }

func (fake) Run(_ context.Context, _ js.Target, db string, cmd bson.Raw, place string) (js.Reply, error) {
	fmt.Println("SENT", db, cmd.String()[:min(300, len(cmd.String()))], place)
	e, _ := cmd.IndexErr(0)
	if e.Key() == "serverError" {
		return nil, &js.ServerError{Code: 1, Name: "X", Message: "boom"}
	}
	if e.Key() == "stop" {
		return nil, &js.Stop{Err: errors.New("declined")}
	}
	doc := bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: int32(0)}, {Key: "nModified", Value: int32(0)}, {Key: "value", Value: nil}, {Key: "values", Value: bson.A{}}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{bson.D{{Key: "_id", Value: 1}, {Key: "a", Value: bson.A{1, 2}}}}}}}}
	raw, err := bson.Marshal(doc)
	return fixed(raw), err
}

func main() {
	vm, err := js.New(js.Config{Runner: fake{}, Print: func(s string) { fmt.Println("PRINT", s[:min(300, len(s))]) }, Sleep: js.Sleep, ReadFile: js.ReadFile, NewID: bson.NewObjectID}, nil, "app")
	if err != nil {
		panic(err)
	}
	src, _ := io.ReadAll(os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, s := range split(string(src)) {
		r, err := vm.Eval(ctx, "statement", s)
		if err != nil {
			fmt.Println("ERR", err.Error()[:min(300, len(err.Error()))])
		} else if r.Cursor() {
			docs, more, err := vm.Page(ctx, r)
			fmt.Println("PAGE", render.Value(docs)[:min(300, len(render.Value(docs)))], more, err)
		} else {
			tree, err := vm.Tree(ctx, r)
			v := render.Value(tree)
			fmt.Println("VALUE", v[:min(300, len(v))], err)
		}
		_, db := vm.Database()
		fmt.Println("DB", db)
	}
}

func split(s string) []string {
	var out []string
	cur := ""
	for _, l := range lines(s) {
		if l == "then" {
			out = append(out, cur)
			cur = ""
			continue
		}
		cur += l + "\n"
	}
	return append(out, cur)
}

func lines(s string) []string {
	var out []string
	cur := ""
	for _, c := range s {
		if c == '\n' {
			out = append(out, cur)
			cur = ""
			continue
		}
		cur += string(c)
	}
	if cur != "" {
		out = append(out, cur)
	}
	return out
}
