"""The datasets that `fetch.dataset` can name."""

from collections.abc import Mapping
from dataclasses import dataclass

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


@dataclass(frozen=True)
class Dataset:
    """Four files in MNIST's format: 28 x 28 pixels, ten classes."""

    title: str
    sources: tuple[str, ...]  # folders (relative to the repository's root) and URLs, tried in order
    sha256: Mapping[str, str]  # of each file, whoever serves it; the smallest comes first: it shows if a source answers
    classes: tuple[str, ...] = tuple("0123456789")  # names for plots


# To use your own data, add an entry with a folder as its source; `sha256sum *.gz` prints the digests.
CATALOGUE: Mapping[str, Dataset] = {
    "mnist": Dataset(
        title="MNIST",
        sources=(
            "data/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        sha256={
            TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        },
    ),
    # The digests of the next two are those that TensorFlow Datasets publishes (url_checksums/).
    "fashion": Dataset(
        title="Fashion-MNIST",
        sources=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        sha256={
            TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        },
        classes=("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    ),
    "kmnist": Dataset(
        title="Kuzushiji-MNIST",
        sources=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        sha256={
            TEST_LABELS: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            TRAIN_LABELS: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            TEST_IMAGES: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            TRAIN_IMAGES: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        },
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}
