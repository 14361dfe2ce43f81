# glmnet for linear.py: the same questions and answers as linear_worker.py.
#     Rscript linear_glmnet.R CONTENDER FOLDER THREADS OUT
given <- commandArgs(trailingOnly = TRUE)
folder <- given[2]
threads <- as.integer(given[3])
out <- given[4]
variant <- sub("glmnet, ", "", given[1])

now <- function() as.numeric(Sys.time())
started <- now()
suppressPackageStartupMessages(library(glmnet))
imported <- now()
# all strengths are fitted, however little the deviance still changes
glmnet.control(fdev = 0, devmax = 1)

sizes <- strsplit(readLines(file.path(folder, "sizes.txt")), " ")[[1]]
kind <- sizes[7]
sizes <- as.numeric(sizes[1:6])
n <- sizes[1]; p <- sizes[2]; num <- sizes[3]; folds <- sizes[6]
numbers <- function(name, count) readBin(file.path(folder, name), "double", count)
integers <- function(name, count) readBin(file.path(folder, name), "integer", count)
if (sizes[4] == 1) {
  x <- new("dgCMatrix", i = integers("rows.bin", sizes[5]), p = integers("starts.bin", p + 1),
           x = numbers("values.bin", sizes[5]), Dim = as.integer(c(n, p)))
} else {
  x <- matrix(numbers("x.bin", n * p), n, p)
}
y <- numbers("y.bin", n)
lambdas <- numbers("lambdas.bin", num)

fit <- function(x, y, lambdas, tol) {
  more <- if (is.na(tol)) list() else list(thresh = tol, maxit = 1e8)
  if (kind == "gaussian") more$type.gaussian <- variant else more$type.logistic <- variant
  do.call(glmnet, c(list(x, y, family = kind, alpha = 1, lambda = lambdas, standardize = FALSE), more))
}

# where glmnet ended early its last coefficients stand for the rest
padded <- function(m) m[, pmin(seq_len(num), ncol(m)), drop = FALSE]

cv <- function(tol) {
  which_fold <- rep(seq_len(folds), n %/% folds + (seq_len(folds) <= n %% folds))
  one <- function(k) {
    test <- which_fold == k
    found <- fit(x[!test, ], y[!test], lambdas, tol)
    m <- padded(predict(found, x[test, ]))
    colMeans((y[test] - m)^2)
  }
  each <- parallel::mclapply(seq_len(folds), one, mc.cores = threads, mc.preschedule = FALSE)
  rowMeans(do.call(cbind, each))
}

tiny <- matrix(rnorm(200 * 50), 200, 50)
rough <- if (kind == "gaussian") rnorm(200) else rep(unique(y), length.out = 200)
begun <- now()
invisible(fit(if (sizes[4] == 1) as(tiny, "dgCMatrix") else tiny, rough, NULL, NA))
cat("ready", imported - started, now() - begun, as.character(packageVersion("glmnet")), "\n")

asked <- file("stdin", "r")
while (length(line <- readLines(asked, 1)) > 0) {
  words <- strsplit(line, " ")[[1]]
  tol <- if (words[2] == "default") NA else as.numeric(words[2])
  answer <- tryCatch({
    begun <- now()
    if (words[1] == "cv") {
      found <- cv(tol)
      seconds <- now() - begun
      writeBin(as.numeric(found), file.path(out, "error.bin"))
    } else {
      found <- fit(x, y, lambdas, tol)
      seconds <- now() - begun
      if (kind == "multinomial") {
        coef <- array(0, c(p, length(found$beta), num))
        for (k in seq_along(found$beta)) coef[, k, ] <- padded(as.matrix(found$beta[[k]]))
      } else {
        coef <- padded(as.matrix(found$beta))
      }
      writeBin(as.numeric(coef), file.path(out, "coef.bin"))
      intercept <- if (kind == "multinomial") found$a0 else matrix(found$a0, 1)
      writeBin(as.numeric(padded(intercept)), file.path(out, "intercept.bin"))
    }
    paste("ok", seconds)
  }, error = function(e) paste("error", gsub("\n", " ", conditionMessage(e))))
  cat(answer, "\n")
}
