# SPDX-License-Identifier: Apache-2.0
# A day with git: what a developer and a build server ask of it.
set -e
cd "$(mktemp -d)"; export HOME=$PWD GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_PAGER=cat
git config --global user.name N; git config --global user.email n@example.org; git config --global init.defaultBranch main
git init -q repo; cd repo
for i in $(seq 1 30); do echo "content $i" >file$i; git add file$i; git commit -q -m "commit $i"; done
git log --oneline | head -n 3
mkdir sub; seq 1 5000 >sub/large; git add -A; git commit -q -m large; sed -i s/1/one/ sub/large; git diff --stat; git commit -qam changed
git checkout -q -b side HEAD~3; echo side >side; git add side; git commit -q -m side; git checkout -q main; git merge -q --no-edit side; git log --graph --oneline | head -n 6
git tag -a v1 -m one; git describe
git gc -q; git count-objects -v | grep -v size; git fsck --full
cd ..; git clone -q --local repo copy; cd copy; git log --format=%H | sha256sum; git status --short; git fsck; git blame sub/large | wc -l
echo more >>file1; git stash -q; git stash pop -q; git commit -qam more; git push -q origin HEAD:refs/heads/pushed; git -C ../repo rev-parse pushed
git rebase -q HEAD~2 2>&1; git archive HEAD | tar tf - | wc -l; git grep -c content | head -n 3; git bundle create -q ../b HEAD; git bundle verify -q ../b && echo bundle
git worktree add -q ../wt HEAD~1; git -C ../wt rev-parse HEAD
cd /; rm -r "$HOME"
